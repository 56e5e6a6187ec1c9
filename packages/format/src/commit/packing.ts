// Packing makes a file shorter that is too long for its contents: it moves all clusters into free space, which is allocated from the front
// of the file (spec §5, Space).

import { isOnes } from "../bits/cluster-bytes.ts";
import { isZero } from "../layout/bytes.ts";
import { alignUp } from "../layout/numbers.ts";
import type { FileState } from "../maps/load-maps.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import { type Plan, readRange } from "../ports/plan.ts";
import { L1_CHECKSUM } from "../records/l1.ts";
import type { BitmapChange, UniformClusters } from "./bitmap-change.ts";

/** CRC-32 of a cluster of zeros and of a cluster of ones. */
interface UniformChecksums {
  readonly zeros: number;
  readonly ones: number;
}

function uniformChecksums(clusterSize: number, crc32: Crc32): UniformChecksums {
  const bytes = new Uint8Array(clusterSize);
  const zeros = crc32(bytes);
  return { zeros, ones: crc32(bytes.fill(0xff)) };
}

/**
 * Yields the stored clusters that can be all zeros or all ones according to their checksums. A checksum is no proof, so their bytes have to
 * be compared.
 */
function* maybeUniform(map: QdbClusterMap, allOnes: boolean, checksums: UniformChecksums): Generator<number, void> {
  const view = map.checksums;
  if (view === undefined) throw new Error("an L1 area of draft form has no checksums");
  const ones = allOnes ? checksums.ones : checksums.zeros;
  for (let first = 0, end = 0; first < map.count; first = end) {
    end = map.runEnd(first);
    if (map.kind(first) !== "data") continue;
    for (let cluster = first; cluster < end; cluster++) {
      const checksum = view.getUint32(cluster * L1_CHECKSUM.size);
      // The last cluster is zero past the last bit of the bitmap, so its checksum alone does not say whether all its bits are ones.
      const isLast = allOnes && cluster === map.count - 1;
      if (checksum === checksums.zeros || checksum === ones || isLast) yield cluster;
    }
  }
}

/**
 * Returns the length in bytes that the canonical file with the same contents would have. Clusters that may be uniform are counted as not
 * stored, so the result can be smaller than the true length, but not larger.
 */
export function canonicalLength(index: QdbIndex, mapped: readonly MappedBitmap[], crc32: Crc32): number {
  const { clusterSize } = index;
  const checksums = uniformChecksums(clusterSize, crc32);
  let length = index.floor + alignUp(index.table.bytes.length, clusterSize);
  for (const { entry, map } of mapped) {
    if (map === undefined || map.count === 0) continue;
    length += alignUp(l1Reference(entry, index).length, clusterSize);
    for (let first = 0, end = 0; first < map.count; first = end) {
      end = map.runEnd(first);
      if (map.kind(first) === "data") length += (end - first) * clusterSize;
    }
    for (const _ of maybeUniform(map, index.allOnes, checksums)) length -= clusterSize;
  }
  return length;
}

/**
 * Returns changes that move every bitmap into free space. Stored clusters that are all zeros or all ones are not copied; their L1 entries
 * say so.
 */
export function* packingPlan({ index, mapped }: FileState, crc32: Crc32): Plan<BitmapChange[]> {
  const checksums = uniformChecksums(index.clusterSize, crc32);
  const changes: BitmapChange[] = [];
  for (const from of mapped) {
    const { map } = from;
    const move = map === undefined ? NOTHING_UNIFORM : yield* uniformClusters(map, index.allOnes, checksums);
    changes.push({ from, move });
  }
  return changes;
}

const NOTHING_UNIFORM: UniformClusters = { zeros: new Set(), ones: new Set() };

/** Reads the clusters that can be uniform according to their checksums, and returns those that are. */
function* uniformClusters(map: QdbClusterMap, allOnes: boolean, checksums: UniformChecksums): Plan<UniformClusters> {
  const zeros = new Set<number>();
  const ones = new Set<number>();
  for (const cluster of maybeUniform(map, allOnes, checksums)) {
    const bytes = yield* readRange(map.offset(cluster), map.clusterSize);
    // Bytes that do not match their checksum may be wrong. Such a cluster is copied unchanged with its checksum, so that a reader still
    // finds the error.
    if (map.verify(cluster, bytes) !== undefined) continue;
    const bitsLeft = map.bitCount - cluster * bytes.length * 8;
    if (isZero(bytes)) zeros.add(cluster);
    else if (allOnes && isOnes(bytes, Math.min(bytes.length * 8, bitsLeft))) ones.add(cluster);
  }
  return { zeros, ones };
}
