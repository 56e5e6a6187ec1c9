// What a commit writes to repair some clusters of a bitmap. Offsets and checksums are computed first; the bytes of the clusters are
// generated as they are written.

import { onesCluster, trimmed } from "../bits/cluster-bytes.ts";
import { QdbError } from "../errors.ts";
import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import { l1EntriesFor } from "../records/bitmap-entry.ts";
import { L1_CHECKSUM, L1_ENTRY, L1Builder, l1AreaSize } from "../records/l1.ts";
import type { BitmapChange, ClusterRepair } from "./bitmap-change.ts";
import type { BitmapWrites, ClusterCopy } from "./bitmap-writes.ts";
import { chunksOf } from "./chunks.ts";
import type { FreeSpace } from "./free-space.ts";

/**
 * Returns the number of bytes that the repairs among the changes store: L1 areas and, unless the file has all-ones clusters, data clusters
 * of ones. Computed before any space is allocated, so that a repair can be refused. A last cluster that is copied because of its tail is
 * not counted.
 */
export function repairBytes(changes: readonly BitmapChange[], { clusterSize, allOnes }: QdbIndex): number {
  let bytes = 0;
  for (const { from, repair } of changes) {
    if (from === undefined || repair === undefined) continue;
    const entries = l1EntriesFor(from.entry.bitCount, clusterSize);
    const clusters = repair === "all" ? entries : repair.dirty.length;
    bytes += alignUp(l1AreaSize(entries, "full"), BLOCK) + (allOnes ? 0 : clusters * clusterSize);
  }
  return bytes;
}

/**
 * Allocates space for a bitmap of which some clusters become dirty, and encodes its new L1 area.
 * @throws {QdbError} LIMIT if there is not enough free space
 */
export function clusterRepairWrites(
  map: QdbClusterMap,
  { dirty, tail }: ClusterRepair,
  { clusterSize, allOnes }: QdbIndex,
  space: FreeSpace,
  crc32: Crc32,
): BitmapWrites {
  const builder = new L1Builder(map.count, "full");
  builder.bytes.set(map.areaBytes.subarray(0, map.count * (L1_ENTRY.size + L1_CHECKSUM.size)));
  const areaOffset = space.allocate(builder.bytes.length);
  const last = map.count - 1;
  const bitsIn = (cluster: number): number => Math.min(clusterSize * 8, map.bitCount - cluster * clusterSize * 8);
  /** Sets offset and checksum of an entry to zero: `setOnes` and `setZeros` of the builder leave a checksum as it is. */
  const clear = (cluster: number): void => builder.setData(cluster, 0, 0);
  const stored: (readonly [cluster: number, offset: number])[] = [];
  const wholeChecksum = dirty.some((cluster) => cluster !== last) && !allOnes ? crc32(onesCluster(clusterSize)) : 0;
  for (const cluster of dirty) {
    if (allOnes) {
      clear(cluster);
      builder.setOnes(cluster);
      continue;
    }
    const offset = space.allocate(clusterSize);
    stored.push([cluster, offset]);
    builder.setData(cluster, offset, cluster === last ? crc32(onesCluster(clusterSize, bitsIn(last))) : wholeChecksum);
  }
  const copies: ClusterCopy[] = [];
  if (tail === "ones" || tail === "zeros") clear(last);
  if (tail === "ones") {
    builder.setOnes(last);
  } else if (tail === "zeros") {
    builder.setZeros(last);
  } else if (tail !== undefined) {
    const to = space.allocate(clusterSize);
    const { checksum } = tail;
    copies.push({ from: map.offset(last), to, trim: { bitCount: bitsIn(last), checksum } });
    builder.setData(last, to, checksum);
  }
  const l1Area = builder.bytes;
  return {
    fields: { l1TableOffset: BigInt(areaOffset), l1Checksum: crc32(l1Area) },
    l1Area,
    copies,
    *chunks() {
      yield* chunksOf([l1Area], areaOffset, clusterSize);
      for (const [cluster, offset] of stored) yield { offset, bytes: onesCluster(clusterSize, bitsIn(cluster)) };
    },
  };
}

/**
 * Returns the bytes to write for a cluster that is copied. `bytes` are those of the source.
 * @throws {QdbError} SOURCE_CHANGED if a trimmed cluster does not match the checksum that the repair computed when it verified the cluster
 */
export function copiedBytes(bytes: Uint8Array, { from, trim }: ClusterCopy, crc32: Crc32): Uint8Array {
  if (trim === undefined) return bytes;
  const result = trimmed(bytes, trim.bitCount);
  if (crc32(result) === trim.checksum) return result;
  throw new QdbError("SOURCE_CHANGED", "a data cluster changed since it was looked at", { offset: from });
}
