import type { Problem, Report } from "../errors.ts";
import { isInside } from "../layout/numbers.ts";
import { checkAligned, checkPlace, type FileGeometry } from "../open/geometry.ts";
import { L1_CHECKSUM, L1_ENTRY, l1Problem } from "../records/l1.ts";
import { type ClusterOwners, ownedRun } from "./cluster-owners.ts";
import type { QdbClusterMap } from "./qdb-cluster-map.ts";

/** Returns the index of the first entry of an L1 area that breaks a rule; -1 if no entry does. */
export function firstBrokenEntry(map: QdbClusterMap, geometry: FileGeometry, owners: ClusterOwners): number {
  for (let first = 0, end = 0; first < map.count; first = end) {
    end = map.runEnd(first);
    if (end - first > 1 && isSoundRun(map, first, end, geometry, owners)) continue;
    for (let cluster = first; cluster < end; cluster++)
      for (const _ of validateL1Entry(map, cluster, geometry, owners)) return cluster;
  }
  return -1;
}

/** Whether no entry of a run breaks a rule. The bits of all entries of a run are equal, and its clusters are one behind the other. */
function isSoundRun(
  map: QdbClusterMap,
  first: number,
  end: number,
  geometry: FileGeometry,
  owners: ClusterOwners,
): boolean {
  if (map.hasReservedBits(first, geometry.allOnes)) return false;
  if (geometry.allOnes && map.isContradictory(first)) return false;
  const { checksums } = map;
  if (checksums !== undefined && map.kind(first) !== "data") {
    for (let cluster = first; cluster < end; cluster++)
      if (checksums.getUint32(cluster * L1_CHECKSUM.size) !== 0) return false;
  }
  const offset = map.offset(first);
  if (offset === 0) return true;
  const run = ownedRun(map, first, end, geometry);
  const isOwned = run?.start === offset && run.end === offset + (end - first) * geometry.clusterSize;
  return isOwned && !owners.isShared(run.start, run.end);
}

/**
 * Checks the rules of an L1 entry (spec §4) and yields its problems in the order of spec §7. Their codes are RESERVED_NOT_ZERO, BAD_FIELD,
 * MISALIGNED, OUT_OF_BOUNDS and OVERLAP.
 */
export function* validateL1Entry(
  map: QdbClusterMap,
  cluster: number,
  geometry: FileGeometry,
  owners: ClusterOwners,
): Generator<Problem, void> {
  const bad = (code: Problem["code"], message: string): Problem =>
    l1Problem(code, map.label, map.areaOffset, cluster, message);
  if (map.hasReservedBits(cluster, geometry.allOnes)) {
    yield bad(
      "RESERVED_NOT_ZERO",
      geometry.allOnes ? "reserved bits are set" : "reserved bits are set (bit 1 needs the all-ones feature)",
    );
  }
  if (geometry.allOnes && map.isContradictory(cluster)) {
    yield bad("BAD_FIELD", "it reads as ones, and bit 0 or an offset is set beside");
  }
  const checksum = map.checksum(cluster);
  if (checksum !== undefined && checksum !== 0 && map.kind(cluster) !== "data") {
    const problem = bad("BAD_FIELD", "it reads no cluster, but has a checksum");
    const offset = map.areaOffset + map.count * L1_ENTRY.size + cluster * L1_CHECKSUM.size;
    yield { ...problem, where: { ...problem.where, structure: L1_CHECKSUM.name, field: "cluster_checksum", offset } };
  }
  const offset = map.offset(cluster);
  if (offset === 0) return;
  const owned = ownedRun(map, cluster, cluster + 1, geometry);
  if (owned === undefined) yield* misplaced(map, cluster, geometry);
  else if (owners.isShared(owned.start, owned.end))
    yield bad("OVERLAP", `the data cluster at ${offset} has a second owner`);
}

/** Returns the problems of an L1 entry's offset: it is not aligned, runs past the end of the file, or is in the header or the mirror. */
function misplaced(map: QdbClusterMap, cluster: number, geometry: FileGeometry): readonly Problem[] {
  const found: Problem[] = [];
  const reference = {
    offset: map.offset(cluster),
    length: geometry.clusterSize,
    what: `the data cluster of L1 entry ${cluster}`,
    where: l1Problem("BAD_FIELD", map.label, map.areaOffset, cluster, "").where,
  };
  const report: Report = (problem) => found.push(problem);
  // A misaligned offset owns no cluster, and no overlap is reported for it. It can still run past the end of the file.
  const aligned = checkAligned(reference, geometry, report);
  if (aligned || !isInside(reference.offset, reference.length, geometry.fileSize))
    checkPlace(reference, geometry, report);
  return found;
}
