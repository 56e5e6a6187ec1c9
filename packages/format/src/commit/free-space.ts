import { numberAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { alignUp } from "../layout/numbers.ts";
import { spaceUnit, usedRanges } from "../maps/generation-space.ts";
import type { FileState } from "../maps/load-maps.ts";
import { areAllMapped } from "../maps/mapped-bitmap.ts";
import type { Plan } from "../ports/plan.ts";
import { addReferencedSpace } from "./referenced-space.ts";
import { type FreeRuns, UsedSpace } from "./used-space.ts";

/** Bytes by which a file with a damaged bitmap may grow, beyond three times its length and what is referenced behind its end (spec §5, Files in error). */
const GROWTH_ALLOWANCE = 1024 * 1024;

/** The length of a file, and whether it can change: a device has a fixed length. */
export interface FileLength {
  /** Bytes. */
  readonly size: number;
  readonly fixed: boolean;
}

/**
 * The free space of a file for one commit: all blocks that the current generation does not reach, and everything behind the end of the
 * file. If a bitmap is damaged, only space behind the end that no reference names is free (spec §5, Files in error).
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
  // A device has no movable end: the end of everything that is referenced takes its place. An L1 area that cannot be read now may be
  // readable later, and may then refer to any cluster, so that no space of the device counts as free.
  yield* addReferencedSpace(state, 0, used);
  const isUnread = mapped.some(({ faultKind }) => faultKind === "unread");
  const behind = Math.max(isUnread ? size : used.lastEndWithin(size), index.floor);
  return new FreeSpace(used.freeFrom(alignUp(behind, unit)), index.clusterSize, size, true);
}

/** Allocates the free space of a file, each byte at most once. */
export class FreeSpace {
  readonly #free: FreeRuns;
  /** For each length that was allocated: index of the first run that can hold it. Runs only shrink, so those before it are too small. */
  readonly #firstRuns = new Map<number, number>();
  readonly #clusterSize: number;
  readonly #bound: number;
  readonly #isFixed: boolean;
  #allocated = 0;

  /** Nothing is allocated past file offset `bound`; unless `isFixed`, the bound moves up by every byte that is allocated. */
  constructor(free: FreeRuns, clusterSize: number, bound: number, isFixed = false) {
    this.#free = free;
    this.#clusterSize = clusterSize;
    this.#bound = bound;
    this.#isFixed = isFixed;
  }

  /**
   * Allocates `length` bytes, rounded up to whole clusters, at the lowest offset where they are free in one piece. Returns the offset.
   * @throws {QdbError} LIMIT if there is no such place before the bound
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
