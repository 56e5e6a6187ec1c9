import { isOnes, trimmed } from "../bits/cluster-bytes.ts";
import { windows } from "../bits/cluster-windows.ts";
import { Scratch } from "../bits/scratch.ts";
import { hasTail, readClusters } from "../bits/stored-clusters.ts";
import { QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import type { FileState } from "../maps/load-maps.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { isPlaceProblem } from "../open/entry-problems.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { Plan } from "../ports/plan.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import { parseExtraData } from "../records/extra-data.ts";
import type { BitmapChange, ClusterRepair } from "./bitmap-change.ts";

/**
 * Decides how each bitmap of a file is repaired (spec §5 Dirt, §7.3). A cluster that does not match its checksum or cannot be read becomes
 * dirty; if the L1 area is damaged, the whole bitmap does. Bits past the end of a bitmap become zero, and so does padding. The flag in_use
 * stays set. A bitmap with a problem that would remain if all its bits were dirty is copied byte for byte.
 *
 * Memory: at most one window of clusters is held; for everything else only numbers are kept.
 */
export function* repairPlan({ index, mapped }: FileState, { crc32 = ownCrc32 }: Digests = {}): Plan<BitmapChange[]> {
  const changes: BitmapChange[] = [];
  for (const from of mapped) {
    if (index.problems.isBeyondRepair(from.entry.index)) {
      changes.push({ from });
      continue;
    }
    const { map } = from;
    const problem = from.findProblem();
    const entry = entryWithoutPadding(from);
    const isMisplaced = map === undefined || (problem !== undefined && isPlaceProblem(problem));
    const repair = isMisplaced ? "all" : yield* clusterRepair(map, index.allOnes, crc32);
    changes.push({ from, ...(entry === undefined ? {} : { entry }), ...(repair === undefined ? {} : { repair }) });
  }
  return changes;
}

/**
 * Returns the contents of a table entry that has padding that is not zero, in the entry or in its records: encoding these contents again
 * writes zeros. Undefined if all padding is zero, or if the records cannot be parsed.
 */
function entryWithoutPadding({ entry }: MappedBitmap): EntryContents | undefined {
  if (entry.extraData.length === 0 && isZero(entry.padding)) return undefined;
  const parsed = parseExtraData(entry.extraData, { fileOffset: 0, bitmap: entry.label }, () => undefined);
  if (parsed === undefined || (isZero(entry.padding) && parsed.padding.length === 0)) return undefined;
  return { nameBytes: entry.nameBytes, flags: entry.decodeFields().flags, extraData: parsed.records };
}

/**
 * Reads and verifies every stored cluster of a bitmap. Returns undefined if there is nothing to repair in the clusters or in the padding of
 * the L1 area.
 */
function* clusterRepair(map: QdbClusterMap, allOnes: boolean, crc32: Crc32): Plan<ClusterRepair | undefined> {
  const dirty: number[] = [];
  let tail: ClusterRepair["tail"];
  const scratch = new Scratch();
  for (const window of windows(map)) {
    for (const [cluster, bytes] of yield* readClusters(map, window, scratch)) {
      if (bytes instanceof QdbError || map.verify(cluster, bytes) !== undefined) dirty.push(cluster);
      else if (hasTail(map, cluster, bytes))
        tail = trimmedContents(bytes, map.bitCount - cluster * map.clusterSize * 8, allOnes, crc32);
    }
  }
  if (dirty.length === 0 && tail === undefined && isZero(map.areaPadding)) return undefined;
  return { dirty, ...(tail === undefined ? {} : { tail }) };
}

/** Returns what the last cluster holds once all bits after its first `bitCount` bits are zero. */
function trimmedContents(
  bytes: Uint8Array,
  bitCount: number,
  allOnes: boolean,
  crc32: Crc32,
): NonNullable<ClusterRepair["tail"]> {
  const result = trimmed(bytes, bitCount);
  if (isZero(result)) return "zeros";
  return allOnes && isOnes(result, bitCount) ? "ones" : { checksum: crc32(result) };
}
