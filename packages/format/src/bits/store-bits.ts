import type { Bitmap } from "../bitmap/bitmap.ts";
import { isZero } from "../layout/bytes.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { l1EntriesFor } from "../records/bitmap-entry.ts";
import type { Form } from "../records/header.ts";
import { L1Builder, l1AreaSize } from "../records/l1.ts";

/** Allocates `length` bytes of space in the file. Returns the file offset of the space, a multiple of the cluster size. */
export type Allocate = (length: number) => number;

/** A cluster in the file that already has the bytes to be stored: its file offset and the CRC-32 of its bytes. */
export interface KnownCluster {
  readonly offset: number;
  readonly checksum: number;
}

/** What is to be written for the bits of a bitmap: an L1 area and data clusters, with the space that was allocated for them. */
export interface StoredBits {
  /** Number of L1 entries. */
  readonly l1Size: number;
  /** File offset of the L1 area in bytes; 0 if there are no L1 entries. */
  readonly areaOffset: number;
  /** The bytes of the L1 area. */
  readonly area: Uint8Array;
  /**
   * Yields the bytes to write: the L1 area and the data clusters, in the order in which their space was allocated. A cluster that is in the
   * file already is left out.
   */
  chunks(): Generator<FileChunk, void>;
}

/** Whether the first `validBits` bits of a cluster are ones, and the bits after them in the same byte are zeros (spec §4). */
export function isOnes(bytes: Uint8Array, validBits: number): boolean {
  const whole = Math.floor(validBits / 8);
  for (let index = 0; index < whole; index++) if (bytes[index] !== 0xff) return false;
  const rest = validBits % 8;
  return rest === 0 || bytes[whole] === (1 << rest) - 1;
}

/**
 * Allocates space for the bits of a bitmap, and builds its L1 area. A cluster of zeros is not stored. A cluster of ones is not stored if
 * the file has the feature all-ones clusters (spec §4, Canonical file). Given the index and the bytes of a cluster, `known` returns the
 * cluster of the file that has these bytes already, if there is one. The L1 entry then refers to that cluster, and no space is allocated.
 */
export function storeBits(
  bitmap: Bitmap,
  file: { readonly clusterSize: number; readonly form: Form; readonly allOnes: boolean },
  allocate: Allocate,
  crc32: Crc32,
  known: (cluster: number, bytes: Uint8Array) => KnownCluster | undefined = () => undefined,
): StoredBits {
  const { clusterSize, form, allOnes } = file;
  const l1Size = l1EntriesFor(bitmap.bitCount, clusterSize);
  if (l1Size === 0) return { l1Size, areaOffset: 0, area: new Uint8Array(0), *chunks() {} };
  const areaOffset = allocate(l1AreaSize(l1Size, form));
  const builder = new L1Builder(l1Size, form);
  const stored: (readonly [cluster: number, offset: number])[] = [];
  for (let cluster = 0; cluster < l1Size; cluster++) {
    const bytes = bitmap.viewAt(cluster * clusterSize, clusterSize);
    const validBits = Math.min(clusterSize * 8, bitmap.bitCount - cluster * clusterSize * 8);
    if (isZero(bytes)) {
      builder.setZeros(cluster);
    } else if (allOnes && isOnes(bytes, validBits)) {
      builder.setOnes(cluster);
    } else {
      const same = known(cluster, bytes);
      if (same !== undefined) {
        builder.setData(cluster, same.offset, same.checksum);
        continue;
      }
      const offset = allocate(clusterSize);
      builder.setData(cluster, offset, crc32(bytes));
      stored.push([cluster, offset]);
    }
  }
  return {
    l1Size,
    areaOffset,
    area: builder.bytes,
    *chunks() {
      yield { offset: areaOffset, bytes: builder.bytes };
      for (const [cluster, offset] of stored)
        yield { offset, bytes: bitmap.viewAt(cluster * clusterSize, clusterSize) };
    },
  };
}
