import { numberAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { alignUp } from "../layout/numbers.ts";
import { spaceUnit, usedRanges } from "../maps/generation-space.ts";
import type { FileState } from "../maps/load-maps.ts";
import { areAllMapped } from "../maps/mapped-bitmap.ts";
import type { Plan } from "../ports/plan.ts";
import { addReferencedSpace } from "./referenced-space.ts";
import { type FreeRuns, UsedSpace } from "./used-space.ts";

/**
 * Part of the bound on a file with a damaged bitmap, in bytes. Such a file may end at three times the sum of its length and of the
 * referenced blocks past its end, plus what the commit allocates, plus this allowance (spec §5, Files in error).
 */
const GROWTH_ALLOWANCE = 1024 * 1024;

/** The length of a file. It cannot change if the file is a device. */
export interface FileLength {
  /** Length in bytes. */
  readonly size: number;
  readonly fixed: boolean;
}

/**
 * Returns the free space of a file for one commit: all blocks that the current generation does not use, and everything past the end of the
 * file. If a bitmap is damaged, only the space past the end is free, without the blocks there that a reference names (spec §5, Files in
 * error).
 */
export function* freeSpaceOf(state: FileState, { size, fixed }: FileLength): Plan<FreeSpace> {
  const { index, mapped } = state;
  const used = new UsedSpace(index.clusterSize);
  if (areAllMapped(mapped)) {
    for (const range of usedRanges(index, mapped)) used.add(range);
    return new FreeSpace(used.freeFrom(0), index.clusterSize, Number.POSITIVE_INFINITY);
  }
  const unit = spaceUnit(index);
  if (!fixed) {
    const end = alignUp(Math.max(size, index.floor), unit);
    yield* addReferencedSpace(state, end, used);
    const free = used.freeFrom(end);
    return new FreeSpace(free, index.clusterSize, 3 * (size + free.used) + GROWTH_ALLOWANCE);
  }
  // The end of a device is fixed, so free space begins after the last referenced range inside it. An L1 area that cannot be read now may
  // become readable, and could then refer to any cluster: with such an area no space on the device is free.
  yield* addReferencedSpace(state, 0, used);
  const isUnread = mapped.some(({ faultKind }) => faultKind === "unread");
  const behind = Math.max(isUnread ? size : used.lastEndWithin(size), index.floor);
  return new FreeSpace(used.freeFrom(alignUp(behind, unit)), index.clusterSize, size, true);
}

/** Allocates the free space of a file. Each byte is allocated at most once. */
export class FreeSpace {
  readonly #free: FreeRuns;
  /**
   * For each length that was allocated before: index of the first free run that can be long enough. Runs only become shorter, so the runs
   * before this one need not be searched again.
   */
  readonly #firstRuns = new Map<number, number>();
  readonly #clusterSize: number;
  readonly #bound: number;
  readonly #isFixed: boolean;
  #allocated = 0;

  /** Nothing is allocated past file offset `bound`. Unless `isFixed`, the bound grows by every byte that is allocated. */
  constructor(free: FreeRuns, clusterSize: number, bound: number, isFixed = false) {
    this.#free = free;
    this.#clusterSize = clusterSize;
    this.#bound = bound;
    this.#isFixed = isFixed;
  }

  /**
   * Allocates `length` bytes, rounded up to whole clusters, at the lowest offset with enough contiguous free space. Returns the file
   * offset.
   * @throws {QdbError} LIMIT if no free run before the bound is long enough
   */
  allocate(length: number): number {
    const needed = alignUp(length, this.#clusterSize);
    const { starts, ends } = this.#free;
    this.#allocated += needed;
    const bound = this.#bound + (this.#isFixed ? 0 : this.#allocated);
    for (let run = this.#firstRuns.get(needed) ?? 0; run < starts.length; run++) {
      const offset = alignUp(numberAt(starts, run), this.#clusterSize);
      if (offset + needed > numberAt(ends, run)) continue;
      if (offset + needed > bound) break;
      starts[run] = offset + needed;
      this.#firstRuns.set(needed, run);
      return offset;
    }
    const message = `a bitmap of the file is damaged, and there is no free space of ${needed} bytes near the end of the file that no bitmap names; qdb check lists what is damaged; remove such bitmaps, or copy the good ones into a new file`;
    throw new QdbError("LIMIT", message, { structure: "file" });
  }
}
