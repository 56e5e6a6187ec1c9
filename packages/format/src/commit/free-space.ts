import { QdbError } from "../errors.ts";
import { alignUp } from "../layout/numbers.ts";
import type { FileState } from "../maps/load-maps.ts";
import { allMapped, reached, unitOf } from "../maps/reached.ts";
import type { Plan } from "../ports/plan.ts";
import { useReferenced } from "./referenced-space.ts";
import { type FreeRuns, UsedSpace } from "./used-space.ts";

/** What a file may grow by beside a damaged bitmap, over three times its length and what is named behind it (spec §5, Files in error). */
const NEAR = 1024 * 1024;

/** The length of a file, and whether it is its own to choose; a device's is not. */
export interface FileLength {
  /** Bytes. */
  readonly size: number;
  readonly fixed: boolean;
}

/**
 * The free space of a file, for one commit: blocks that nothing reaches, and all behind the end. While a bitmap was not read good, only
 * what lies behind the end of the file, and there only what no reference names (spec §5, Files in error).
 */
export function* freeSpaceOf(state: FileState, { size, fixed }: FileLength): Plan<FreeSpace> {
  const { index, mapped } = state;
  const taken = new UsedSpace(index.clusterSize);
  if (allMapped(mapped)) {
    for (const extent of reached(index, mapped)) taken.add(extent);
    return new FreeSpace(taken.freeFrom(0), index.clusterSize, Number.POSITIVE_INFINITY);
  }
  const unit = unitOf(index);
  if (!fixed) {
    const end = alignUp(Math.max(size, index.floor), unit);
    yield* useReferenced(state, end, taken);
    const free = taken.freeFrom(end);
    return new FreeSpace(free, index.clusterSize, 3 * (size + free.taken) + NEAR);
  }
  // A device has no end that could be moved: what lies behind everything that is named stands for it. What an area names that cannot be
  // read now, but perhaps the next time, nobody knows.
  yield* useReferenced(state, 0, taken);
  const isUnread = mapped.some(({ damage }) => damage?.code === "IO" || damage?.code === "SHORT_READ");
  const behind = Math.max(isUnread ? size : taken.lastEndWithin(size), index.floor);
  return new FreeSpace(taken.freeFrom(alignUp(behind, unit)), index.clusterSize, size, true);
}

/** Free space that is given out. Nothing is given twice. */
export class FreeSpace {
  readonly #free: FreeRuns;
  /** For each length asked for: runs before this one are too small for it, since they only shrink. */
  readonly #cursors = new Map<number, number>();
  readonly #align: number;
  readonly #bound: number;
  readonly #isFixed: boolean;
  #given = 0;
  #end = 0;

  /** Space ends at `bound` or before it, in bytes; unless `isFixed`, what was given out comes on top of that. */
  constructor(free: FreeRuns, clusterSize: number, bound: number, isFixed = false) {
    this.#free = free;
    this.#align = clusterSize;
    this.#bound = bound;
    this.#isFixed = isFixed;
  }

  /** File offset behind everything that was given out; 0 when nothing was. */
  get end(): number {
    return this.#end;
  }

  /** Takes so many bytes, whole clusters, at the lowest place that has them in one piece. @throws {QdbError} LIMIT where there is none that is near enough */
  allocate(length: number): number {
    const needed = alignUp(length, this.#align);
    const { starts, ends } = this.#free;
    this.#given += needed;
    const bound = this.#bound + (this.#isFixed ? 0 : this.#given);
    for (let at = this.#cursors.get(needed) ?? 0; at < starts.length; at++) {
      const offset = alignUp(starts[at] ?? 0, this.#align);
      if (offset + needed > (ends[at] ?? 0)) continue;
      if (offset + needed > bound) break;
      starts[at] = offset + needed;
      this.#end = Math.max(this.#end, offset + needed);
      this.#cursors.set(needed, at);
      return offset;
    }
    const message = `a bitmap of the file is damaged, and there is no free space of ${needed} bytes near the end of the file that no bitmap names; qdb check lists what is damaged; remove such bitmaps, or copy the good ones into a new file`;
    throw new QdbError("LIMIT", message, { structure: "file" });
  }
}
