import type { Bitmap } from "../bitmap/bitmap.ts";
import { storeBits } from "../bits/store-bits.ts";
import { equalBytes } from "../layout/bytes.ts";
import { alignUp } from "../layout/numbers.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { L1Builder } from "../records/l1.ts";
import type { BitmapChange, UniformClusters } from "./bitmap-change.ts";
import type { BitmapWrites, ClusterCopy } from "./bitmap-writes.ts";
import type { FreeSpace } from "./free-space.ts";
import { placeDirty, placeMended } from "./mend.ts";

const AS_IT_IS: BitmapWrites = {};

/** Finds free space for what the next generation stores anew. @throws {QdbError} LIMIT where there is none */
export function allocateWrites(
  bitmaps: readonly BitmapChange[],
  space: FreeSpace,
  index: QdbIndex,
  crc32: Crc32,
): BitmapWrites[] {
  return bitmaps.map((next) => {
    const { from, bits, mend, move } = next;
    if (bits !== undefined) return placeBits(next, bits, space, index, crc32);
    if (from === undefined) return AS_IT_IS;
    if (mend === "all") return placeDirty(from.entry, index, space, crc32);
    if (from.map === undefined || from.map.count === 0) return AS_IT_IS;
    if (mend !== undefined) return placeMended(from.map, mend, index, space, crc32);
    return move === undefined ? AS_IT_IS : placeMove(from.map, move, space, index, crc32);
  });
}

function placeBits(next: BitmapChange, bits: Bitmap, space: FreeSpace, index: QdbIndex, crc32: Crc32): BitmapWrites {
  const { original } = next;
  const map = next.from?.map;
  const { clusterSize } = index;
  const kept = original === undefined || map === undefined ? 0 : keptClusters(original, bits, map);
  const stored = storeBits(
    bits,
    index,
    (length) => space.allocate(length),
    crc32,
    (cluster, bytes) => {
      if (original === undefined || map === undefined || cluster >= kept || map.kind(cluster) !== "data")
        return undefined;
      if (!equalBytes(original.viewAt(cluster * clusterSize, clusterSize), bytes)) return undefined;
      return { offset: map.offset(cluster), checksum: map.area.checksum(cluster) ?? 0 };
    },
  );
  const place = {
    l1TableOffset: BigInt(stored.areaOffset),
    l1Size: stored.l1Size,
    granularity: bits.granularity,
    size: bits.size,
    l1Checksum: stored.l1Size === 0 ? 0 : crc32(stored.area),
  };
  return {
    place,
    area: stored.area,
    *chunks() {
      for (const chunk of stored.chunks()) yield padToCluster(chunk, clusterSize);
    },
  };
}

function placeMove(
  map: QdbClusterMap,
  plain: UniformClusters,
  space: FreeSpace,
  index: QdbIndex,
  crc32: Crc32,
): BitmapWrites {
  const builder = new L1Builder(map.count, "full");
  const areaOffset = space.allocate(builder.bytes.length);
  const copies: ClusterCopy[] = [];
  for (let cluster = 0; cluster < map.count; cluster++) {
    const kind = map.kind(cluster);
    if (kind === "ones" || plain.ones.has(cluster)) builder.setOnes(cluster);
    else if (kind === "zeros" || plain.zeros.has(cluster)) builder.setZeros(cluster);
    else {
      const to = space.allocate(index.clusterSize);
      copies.push({ from: map.offset(cluster), to });
      builder.setData(cluster, to, map.area.checksum(cluster) ?? 0);
    }
  }
  const area = builder.bytes;
  return {
    place: { l1TableOffset: BigInt(areaOffset), l1Checksum: crc32(area) },
    area,
    copies,
    chunks: () => [padToCluster({ offset: areaOffset, bytes: area }, index.clusterSize)],
  };
}

/** Number of clusters that may stay where they are: what stands behind the last bit would become bits of a longer bitmap. */
function keptClusters(original: Bitmap, bits: Bitmap, map: QdbClusterMap): number {
  return bits.bitCount === original.bitCount ? map.count : Math.floor(original.bitCount / (map.clusterSize * 8));
}

/** Bytes of a chunk, filled up to whole clusters, so that a file ends at a cluster's end. */
export function padToCluster({ offset, bytes }: FileChunk, clusterSize: number): FileChunk {
  if (bytes.length % clusterSize === 0) return { offset, bytes };
  const padded = new Uint8Array(alignUp(bytes.length, clusterSize));
  padded.set(bytes);
  return { offset, bytes: padded };
}
