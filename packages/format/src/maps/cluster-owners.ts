import { numberAt } from "../elements.ts";
import { alignUp } from "../layout/numbers.ts";
import { MAX_FILE_OFFSET } from "../limits.ts";
import { lowerBound, NumberList } from "../number-list.ts";
import type { FileGeometry } from "../open/geometry.ts";
import type { OwnedRanges } from "./owned-ranges.ts";
import type { QdbClusterMap } from "./qdb-cluster-map.ts";

/** Data clusters of a run of L1 entries that own them: a range of the file, from `start` up to but not including `end`. */
interface OwnedRun {
  readonly start: number;
  readonly end: number;
}

/** Returns which clusters the entries [cluster, end) of a run own; undefined if they own none. */
export function ownedRun(
  map: QdbClusterMap,
  cluster: number,
  end: number,
  geometry: FileGeometry,
): OwnedRun | undefined {
  const { clusterSize, floor, fileSize } = geometry;
  const offset = map.offset(cluster);
  if (offset === 0 || offset % clusterSize !== 0) return undefined;
  const limit = Math.min(fileSize, MAX_FILE_OFFSET);
  const start = Math.max(offset, alignUp(floor, clusterSize));
  const stop = Math.min(offset + (end - cluster) * clusterSize, limit - (limit % clusterSize));
  return start < stop ? { start, end: stop } : undefined;
}

/** Ranges of a file that do not overlap, in ascending order. */
class Ranges {
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;

  /** Finds the ranges that at least two of the given ones cover. Sorts `starts` and `ends` in place, since they can be millions. */
  constructor(starts: Float64Array, ends: Float64Array) {
    starts.sort();
    ends.sort();
    const twice = { starts: new NumberList(), ends: new NumberList() };
    let open = 0;
    let start = 0;
    for (const end of ends) {
      for (; start < starts.length && numberAt(starts, start) < end; start++)
        if (++open === 2) twice.starts.push(numberAt(starts, start));
      if (open-- === 2) twice.ends.push(end);
    }
    this.#starts = twice.starts.array();
    this.#ends = twice.ends.array();
  }

  /** Whether a range overlaps [start, end). */
  overlaps(start: number, end: number): boolean {
    const last = lowerBound(this.#starts, end) - 1;
    return last >= 0 && numberAt(this.#ends, last) > start;
  }
}

/**
 * Finds the data clusters that have a second owner (another L1 entry, an L1 area or the bitmap table), and the L1 areas that data clusters
 * overlap.
 */
export class ClusterOwners {
  readonly #ranges: OwnedRanges;
  readonly #shared: Ranges;
  /**
   * For each group of `ranges`: 1 if a data cluster overlaps the group. Kept by group, since thousands of L1 areas can be at one offset.
   */
  readonly #overlapped: Uint8Array;

  /** `ranges` has the ranges of the L1 areas and of the bitmap table; `maps` has the maps of the L1 areas that match their checksum. */
  constructor(ranges: OwnedRanges, maps: readonly (QdbClusterMap | undefined)[], geometry: FileGeometry) {
    this.#ranges = ranges;
    this.#overlapped = new Uint8Array(ranges.groups);
    const starts = new NumberList();
    const ends = new NumberList();
    for (const map of maps) {
      if (map === undefined) continue;
      for (let cluster = 0, next = 0; cluster < map.count; cluster = next) {
        next = map.runEnd(cluster);
        const run = ownedRun(map, cluster, next, geometry);
        if (run === undefined) continue;
        starts.push(run.start);
        ends.push(run.end);
        ranges.eachGroup(run.start, run.end, (group) => {
          this.#overlapped[group] = 1;
        });
      }
    }
    this.#shared = new Ranges(starts.array(), ends.array());
  }

  /** Whether a data cluster in the range [start, end) of the file has a second owner. */
  isShared(start: number, end: number): boolean {
    return this.#shared.overlaps(start, end) || this.#ranges.overlaps(start, end - start);
  }

  /**
   * Whether a data cluster overlaps the L1 area at file offset `areaOffset`, or another structure of the group to which that L1 area
   * belongs.
   */
  isOverlapped(areaOffset: number): boolean {
    return this.#overlapped[this.#ranges.groupAt(areaOffset)] === 1;
  }
}
