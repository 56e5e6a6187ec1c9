import type { ClusterBits } from "../bits/cluster-bits.ts";
import { type KeepClusters, storeBits } from "../bits/store-bits.ts";
import type { ComputedClusters, StoredClusters } from "../bits/store-derived.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import { L1Builder, l1Codec } from "../records/l1.ts";
import { allDirtyWrites } from "./all-dirty.ts";
import type { BitmapChange, UniformClusters } from "./bitmap-change.ts";
import type { BitmapWrites, ClusterCopy } from "./bitmap-writes.ts";
import { padToCluster } from "./chunks.ts";
import { clusterRepairWrites } from "./cluster-repair.ts";
import type { FreeSpace } from "./free-space.ts";

const NO_WRITES: BitmapWrites = { fields: {}, copies: [], chunks: () => [] };

/**
 * Allocates free space for everything that a commit writes for its changes, but for the clusters in `computed`, which are written. Returns
 * one result for each change, in the same order.
 * @throws {QdbError} LIMIT if there is not enough free space
 */
export function allocateWrites(
  changes: readonly BitmapChange[],
  space: FreeSpace,
  index: QdbIndex,
  crc32: Crc32,
  computed: ComputedClusters,
): BitmapWrites[] {
  return changes.map((change) => {
    const { from, bits, repair, move } = change;
    if (bits !== undefined) return bitsWrites(from, bits, space, index, crc32, computed.get(bits));
    if (from === undefined) return NO_WRITES;
    if (repair === "all") return allDirtyWrites(from.entry, index, space, crc32);
    const { map } = from;
    if (map === undefined || map.count === 0) return NO_WRITES;
    if (repair !== undefined) return clusterRepairWrites(map, repair, index, space, crc32);
    return move === undefined ? NO_WRITES : moveWrites(map, move, space, index, crc32);
  });
}

/** Allocates space for new bits and encodes their L1 area. An unread cluster is not written: the new L1 entry refers to the stored one. */
function bitsWrites(
  from: MappedBitmap | undefined,
  bits: ClusterBits,
  space: FreeSpace,
  index: QdbIndex,
  crc32: Crc32,
  computed: StoredClusters | undefined,
): BitmapWrites {
  const allocate = (length: number): number => space.allocate(length);
  const keep: KeepClusters<L1Builder> = (builder, first, end) => {
    const map = from?.map;
    if (map?.checksums === undefined) throw new Error("an unread cluster is in no file of full form");
    builder.copy(map.areaBytes, map.count, first, end);
  };
  const stored = storeBits(bits, l1Codec(index.form, index.allOnes, crc32), allocate, keep, computed);
  const fields = {
    l1TableOffset: BigInt(stored.tableOffset),
    l1Size: stored.count,
    granularity: bits.granularity,
    size: bits.size,
    l1Checksum: stored.count === 0 ? 0 : crc32(stored.table),
  };
  return {
    fields,
    l1Area: stored.table,
    copies: [],
    *chunks() {
      for (const chunk of stored.chunks()) yield padToCluster(chunk, index.clusterSize);
    },
  };
}

function moveWrites(
  map: QdbClusterMap,
  uniform: UniformClusters,
  space: FreeSpace,
  index: QdbIndex,
  crc32: Crc32,
): BitmapWrites {
  const builder = new L1Builder(map.count, "full");
  const areaOffset = space.allocate(builder.bytes.length);
  const copies: ClusterCopy[] = [];
  for (let cluster = 0; cluster < map.count; cluster++) {
    const kind = map.kind(cluster);
    if (kind === "ones" || uniform.ones.has(cluster)) builder.setOnes(cluster);
    else if (kind === "zeros" || uniform.zeros.has(cluster)) builder.setZeros(cluster);
    else {
      const to = space.allocate(index.clusterSize);
      copies.push({ from: map.offset(cluster), to });
      builder.setData(cluster, to, checksumOf(map, cluster));
    }
  }
  const l1Area = builder.bytes;
  return {
    fields: { l1TableOffset: BigInt(areaOffset), l1Checksum: crc32(l1Area) },
    l1Area,
    copies,
    chunks: () => [padToCluster({ offset: areaOffset, bytes: l1Area }, index.clusterSize)],
  };
}

/**
 * Returns the CRC-32 of a stored cluster.
 * @throws {Error} for an L1 area of draft form, which has no checksums; a draft is never changed in place
 */
function checksumOf(map: QdbClusterMap, cluster: number): number {
  const checksum = map.checksum(cluster);
  if (checksum === undefined) throw new Error("an L1 area of draft form has no checksums");
  return checksum;
}
