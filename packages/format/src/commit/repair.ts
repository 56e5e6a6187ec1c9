import { windows } from "../bits/cluster-windows.ts";
import { isOnes } from "../bits/store-bits.ts";
import { hasTail, readClusters } from "../bits/stored-clusters.ts";
import { QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import type { FileState, MappedBitmap } from "../maps/load-maps.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { isPlaceProblem } from "../open/entry-problems.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { Plan } from "../ports/plan.ts";
import { parseExtraData } from "../records/extra-data.ts";
import type { BitmapChange, ClusterRepair, EntryContents } from "./bitmap-change.ts";
import { withoutTail } from "./mend.ts";

/**
 * What a repair makes of a file's bitmaps (spec §5 Dirt, §7.3): what cannot be trusted becomes dirty, its range only where its
 * L1 area is good, all of it else; tails and padding become zero; in_use stays; what nothing can put right stays byte for byte.
 * Beside a window of clusters only numbers are held, whatever the bitmaps are.
 */
export function* repairPlan({ index, mapped }: FileState, { crc32 = ownCrc32 }: Digests = {}): Plan<BitmapChange[]> {
  const next: BitmapChange[] = [];
  for (const from of mapped) {
    if (index.problems.isBeyondRepair(from.entry.index)) {
      next.push({ from });
      continue;
    }
    const { map, problem } = from;
    const entry = cleanEntry(from);
    const isMisplaced = map === undefined || (problem !== undefined && isPlaceProblem(problem));
    const mend = isMisplaced ? "all" : yield* mendedClusters(map, index.allOnes, crc32);
    next.push({ from, ...(entry === undefined ? {} : { entry }), ...(mend === undefined ? {} : { mend }) });
  }
  return next;
}

/** The entry written anew, where its padding or that of a record is not zero. */
function cleanEntry({ entry }: MappedBitmap): EntryContents | undefined {
  if (entry.extraData.length === 0 && isZero(entry.padding)) return undefined;
  const parsed = parseExtraData(entry.extraData, { fileOffset: 0, bitmap: entry.label }, () => undefined);
  if (parsed === undefined || (isZero(entry.padding) && parsed.padding.length === 0)) return undefined;
  return { nameBytes: entry.nameBytes, flags: entry.fields.flags, extraData: parsed.records };
}

/** What is to be put right in the clusters and the padding of a bitmap; undefined when nothing is. */
function* mendedClusters(map: QdbClusterMap, allOnes: boolean, crc32: Crc32): Plan<ClusterRepair | undefined> {
  const dirty: number[] = [];
  let tail: ClusterRepair["tail"];
  for (const window of windows(map)) {
    for (const [cluster, bytes] of yield* readClusters(map, window)) {
      if (bytes instanceof QdbError || map.verify(cluster, bytes) !== undefined) dirty.push(cluster);
      else if (hasTail(map, cluster, bytes))
        tail = withoutTailKind(bytes, map.bitCount - cluster * map.clusterSize * 8, allOnes, crc32);
    }
  }
  if (dirty.length === 0 && tail === undefined && isZero(map.area.padding)) return undefined;
  return { dirty, ...(tail === undefined ? {} : { tail }) };
}

/** What the last cluster holds once its tail is zero. */
function withoutTailKind(
  bytes: Uint8Array,
  bits: number,
  allOnes: boolean,
  crc32: Crc32,
): NonNullable<ClusterRepair["tail"]> {
  const masked = withoutTail(bytes, bits);
  if (isZero(masked)) return "zeros";
  return allOnes && isOnes(masked, bits) ? "ones" : { checksum: crc32(masked) };
}
