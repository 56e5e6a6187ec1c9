import { numberAt } from "../elements.ts";
import { isInside } from "../layout/numbers.ts";
import { lowerBound } from "../number-list.ts";
import type { FileGeometry } from "../open/geometry.ts";
import type { OwnedRanges } from "./owned-ranges.ts";
import type { QdbClusterMap } from "./qdb-cluster-map.ts";

/**
 * Whether the L1 entry of `cluster` owns a cluster of the file: its offset is aligned, inside the file, and past header and mirror. An
 * entry owns a preallocated cluster too.
 */
export function ownsCluster(map: QdbClusterMap, cluster: number, geometry: FileGeometry): boolean {
  const offset = map.offset(cluster);
  return (
    offset !== 0 &&
    offset % geometry.clusterSize === 0 &&
    offset >= geometry.floor &&
    isInside(offset, geometry.clusterSize, geometry.fileSize)
  );
}

/**
 * Returns a function that tells whether a value occurs more than once in `numbers`. Sorts `numbers` in place, since they can be millions.
 */
function repeated(numbers: Float64Array): (value: number) => boolean {
  numbers.sort();
  let used = 0;
  for (let index = 1; index < numbers.length; index++) {
    const value = numberAt(numbers, index);
    // Repeated values are collected at the start of the array, over numbers that were compared already, to save memory.
    if (value === numbers[index - 1] && (used === 0 || numbers[used - 1] !== value)) numbers[used++] = value;
  }
  if (used === 0) return () => false;
  // A copy, so that the array of all numbers can be freed.
  const found = numbers.slice(0, used);
  return (value) => found[lowerBound(found, value)] === value;
}

/**
 * Finds the data clusters that have a second owner (another L1 entry, an L1 area or the bitmap table), and the L1 areas that data clusters
 * overlap.
 */
export class ClusterOwners {
  readonly #ranges: OwnedRanges;
  readonly #isRepeated: (offset: number) => boolean;
  /**
   * For each group of `ranges`: 1 if a data cluster overlaps the group. Kept by group, since thousands of L1 areas can be at one offset.
   */
  readonly #overlapped: Uint8Array;

  /** `ranges` has the ranges of the L1 areas and of the bitmap table; `maps` has the maps of the L1 areas that match their checksum. */
  constructor(ranges: OwnedRanges, maps: readonly (QdbClusterMap | undefined)[], geometry: FileGeometry) {
    this.#ranges = ranges;
    this.#overlapped = new Uint8Array(ranges.groups);
    const offsets = new Float64Array(maps.reduce((sum, map) => (map === undefined ? sum : sum + map.count), 0));
    let used = 0;
    for (const map of maps) {
      if (map === undefined) continue;
      for (let cluster = 0; cluster < map.count; cluster++) {
        if (!ownsCluster(map, cluster, geometry)) continue;
        const offset = map.offset(cluster);
        offsets[used++] = offset;
        const group = ranges.groupAt(offset);
        if (group >= 0) this.#overlapped[group] = 1;
      }
    }
    this.#isRepeated = repeated(offsets.subarray(0, used));
  }

  /** Whether the data cluster at file offset `offset` has a second owner. */
  isShared(offset: number): boolean {
    return this.#isRepeated(offset) || this.#ranges.groupAt(offset) >= 0;
  }

  /**
   * Whether a data cluster overlaps the L1 area at file offset `areaOffset`, or another structure of the group to which that L1 area
   * belongs.
   */
  isOverlapped(areaOffset: number): boolean {
    return this.#overlapped[this.#ranges.groupAt(areaOffset)] === 1;
  }
}
