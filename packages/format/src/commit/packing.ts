// When a file is too long for what it holds, and what moves then (spec §5, Space).

import { isOnes } from "../bits/store-bits.ts";
import { isZero } from "../layout/bytes.ts";
import { alignUp } from "../layout/numbers.ts";
import type { FileState, MappedBitmap } from "../maps/load-maps.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import { type Plan, read } from "../ports/plan.ts";
import type { BitmapChange } from "./bitmap-change.ts";

/** Checksums of a cluster of zeros and of one of ones: clusters that have them are worth a look. */
function plainChecksums(clusterSize: number, crc32: Crc32): { readonly zeros: number; readonly ones: number } {
  const bytes = new Uint8Array(clusterSize);
  const zeros = crc32(bytes);
  return { zeros, ones: crc32(bytes.fill(0xff)) };
}

/** Stored clusters of a bitmap that may hold nothing but zeros or ones. */
function* suspects(
  map: QdbClusterMap,
  allOnes: boolean,
  plain: { readonly zeros: number; readonly ones: number },
): Generator<number, void> {
  for (let cluster = 0; cluster < map.count; cluster++) {
    if (map.kind(cluster) !== "data") continue;
    const checksum = map.area.checksum(cluster);
    // The last cluster's tail is zero: its checksum alone does not tell that all its bits are ones.
    if (checksum === plain.zeros || (allOnes && (checksum === plain.ones || cluster === map.count - 1))) yield cluster;
  }
}

/** Length in bytes of the canonical file of the same content; at most that, where a stored cluster may be plain. */
export function canonicalLength(index: QdbIndex, mapped: readonly MappedBitmap[], crc32: Crc32): number {
  const { clusterSize } = index;
  const plain = plainChecksums(clusterSize, crc32);
  let length = index.floor + alignUp(index.table.bytes.length, clusterSize);
  for (const { entry, map } of mapped) {
    if (map === undefined || map.count === 0) continue;
    length += alignUp(l1Reference(entry, index).length, clusterSize);
    for (let cluster = 0; cluster < map.count; cluster++) if (map.kind(cluster) === "data") length += clusterSize;
    for (const _ of suspects(map, index.allOnes, plain)) length -= clusterSize;
  }
  return length;
}

/** The same bitmaps, all to be moved into free space; stored clusters that turn out plain stay behind. */
export function* movesOf({ index, mapped }: FileState, crc32: Crc32): Plan<BitmapChange[]> {
  const plain = plainChecksums(index.clusterSize, crc32);
  const moves: BitmapChange[] = [];
  for (const from of mapped) {
    const { map } = from;
    const zeros = new Set<number>();
    const ones = new Set<number>();
    for (const cluster of map === undefined ? [] : suspects(map, index.allOnes, plain)) {
      if (map === undefined) continue;
      const [bytes] = yield* read([{ offset: map.offset(cluster), length: map.clusterSize }]);
      // Only bytes that match their checksum are known to be what they look like.
      if (bytes === undefined || map.verify(cluster, bytes) !== undefined) continue;
      if (isZero(bytes)) zeros.add(cluster);
      else if (index.allOnes && isOnes(bytes, Math.min(bytes.length * 8, map.bitCount - cluster * bytes.length * 8)))
        ones.add(cluster);
    }
    moves.push({ from, move: { zeros, ones } });
  }
  return moves;
}
