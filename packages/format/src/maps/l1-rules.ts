import type { Problem, Report } from "../errors.ts";
import { isInside } from "../layout/numbers.ts";
import { checkAligned, checkPlace, type FileGeometry } from "../open/geometry.ts";
import { L1_CHECKSUM, L1_ENTRY, l1Problem } from "../records/l1.ts";
import { duplicates } from "./cluster-owners.ts";
import type { L1Places } from "./l1-places.ts";
import type { QdbClusterMap } from "./qdb-cluster-map.ts";

/** Whether an entry refers to a cluster (a preallocated one too) at a place where one can be. */
function ownsCluster(map: QdbClusterMap, cluster: number, layout: FileGeometry): boolean {
  const offset = map.area.offset(cluster);
  return (
    offset !== 0 &&
    offset % layout.clusterSize === 0 &&
    offset >= layout.floor &&
    isInside(offset, layout.clusterSize, layout.fileSize)
  );
}

/** Which data clusters have a second owner (another entry, an L1 area, the table), and whose L1 areas are hit by one. */
export class Owners {
  readonly #places: L1Places;
  readonly #isTwice: (offset: number) => boolean;
  /** Groups, not bitmaps: thousands of areas at one place, named by a million entries, are looked at once. */
  readonly #hit: Uint8Array;

  /** `maps` gives the maps whose areas were read, the same each time. */
  constructor(places: L1Places, layout: FileGeometry, maps: () => Iterable<QdbClusterMap>) {
    this.#places = places;
    this.#hit = new Uint8Array(places.extents.groups);
    let total = 0;
    for (const map of maps()) total += map.count;
    const offsets = new Float64Array(total);
    let used = 0;
    for (const map of maps()) {
      for (let cluster = 0; cluster < map.count; cluster++) {
        if (!ownsCluster(map, cluster, layout)) continue;
        const offset = map.area.offset(cluster);
        offsets[used++] = offset;
        const group = places.extents.groupAt(offset);
        if (group >= 0) this.#hit[group] = 1;
      }
    }
    this.#isTwice = duplicates(offsets.subarray(0, used));
  }

  /** Whether a data cluster has a second owner. */
  isDouble(offset: number): boolean {
    return this.#isTwice(offset) || this.#places.extents.groupAt(offset) >= 0;
  }

  /** Whether a data cluster lies over the L1 area of a bitmap, by its place in the list. */
  isHit(position: number): boolean {
    return this.#places.isInside(position) && this.#hit[this.#places.extents.groupOf(position)] === 1;
  }
}

/** The rules of an L1 area's entries, in order (spec §4). Gives RESERVED_NOT_ZERO, BAD_FIELD, MISALIGNED, OUT_OF_BOUNDS, OVERLAP. */
export function* validateL1(
  map: QdbClusterMap,
  layout: FileGeometry,
  doubled: (offset: number) => boolean,
): Generator<Problem, void> {
  const { area } = map;
  for (let cluster = 0; cluster < map.count; cluster++) {
    const bad = (code: Problem["code"], message: string): Problem =>
      l1Problem(code, map.label, map.areaOffset, cluster, message);
    if (area.hasReservedBits(cluster, layout.allOnes)) {
      yield bad(
        "RESERVED_NOT_ZERO",
        layout.allOnes ? "reserved bits are set" : "reserved bits are set (bit 1 needs the all-ones feature)",
      );
    }
    if (layout.allOnes && area.isContradictory(cluster)) {
      yield bad("BAD_FIELD", "it reads as ones, and bit 0 or an offset is set beside");
    }
    if (area.kind(cluster) !== "data" && (area.checksum(cluster) ?? 0) !== 0) {
      const problem = bad("BAD_FIELD", "it reads no cluster, but has a checksum");
      const offset = map.areaOffset + map.count * L1_ENTRY.size + cluster * L1_CHECKSUM.size;
      yield { ...problem, where: { ...problem.where, structure: L1_CHECKSUM.name, field: "cluster_checksum", offset } };
    }
    const offset = area.offset(cluster);
    if (offset === 0) continue;
    if (!ownsCluster(map, cluster, layout)) yield* misplaced(map, cluster, layout);
    else if (doubled(offset)) yield bad("OVERLAP", `the data cluster at ${offset} has a second owner`);
  }
}

/** What is wrong with the place that an entry gives its cluster. */
function misplaced(map: QdbClusterMap, cluster: number, layout: FileGeometry): readonly Problem[] {
  const found: Problem[] = [];
  const reference = {
    offset: map.area.offset(cluster),
    length: layout.clusterSize,
    what: `the data cluster of L1 entry ${cluster}`,
    where: l1Problem("BAD_FIELD", map.label, map.areaOffset, cluster, "").where,
  };
  const tell: Report = (problem) => found.push(problem);
  // A reference that is misaligned owns nothing: it can only run past the end beside.
  const aligned = checkAligned(reference, layout, tell);
  if (aligned || !isInside(reference.offset, reference.length, layout.fileSize)) checkPlace(reference, layout, tell);
  return found;
}
