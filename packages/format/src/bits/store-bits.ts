import type { Bitmap } from "../bitmap/bitmap.ts";
import { isZero } from "../layout/bytes.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { l1EntriesFor } from "../records/bitmap-entry.ts";
import type { Form } from "../records/header.ts";
import { L1Builder, l1AreaSize } from "../records/l1.ts";

/** Gives the file offset of free space of so many bytes, cluster-aligned, never the same twice. */
export type Allocate = (length: number) => number;

/** A cluster that stands in the file already with the same bytes. */
export interface KnownCluster {
  readonly offset: number;
  readonly checksum: number;
}

/** A bitmap's bits with their places in the file: an L1 area and the data clusters behind it. */
export interface StoredBits {
  readonly l1Size: number;
  /** File offset of the L1 area in bytes; 0 when there is no entry. */
  readonly areaOffset: number;
  readonly area: Uint8Array;
  /** L1 area and data clusters, in the order in which space was asked for. */
  chunks(): Generator<FileChunk, void>;
}

/** Whether every bit of a cluster's bytes that belongs to the bitmap is one; those behind the last bit count as one (spec §4). */
export function isOnes(bytes: Uint8Array, validBits: number): boolean {
  const whole = Math.floor(validBits / 8);
  for (let index = 0; index < whole; index++) if (bytes[index] !== 0xff) return false;
  const rest = validBits % 8;
  return rest === 0 || bytes[whole] === (1 << rest) - 1;
}

/**
 * Lays out the bits of a bitmap: no cluster of zeros is stored and, where the file has all-ones clusters, none of ones
 * (spec §4, Canonical file). The allocator decides where: behind everything in a whole file, into free space in a commit.
 * `known` tells of clusters that need not be stored again.
 */
export function storeBits(
  bits: Bitmap,
  file: { readonly clusterSize: number; readonly form: Form; readonly allOnes: boolean },
  allocate: Allocate,
  crc32: Crc32,
  known: (cluster: number, bytes: Uint8Array) => KnownCluster | undefined = () => undefined,
): StoredBits {
  const { clusterSize, form, allOnes } = file;
  const l1Size = l1EntriesFor(bits.bitCount, clusterSize);
  if (l1Size === 0) return { l1Size, areaOffset: 0, area: new Uint8Array(0), *chunks() {} };
  const areaOffset = allocate(l1AreaSize(l1Size, form));
  const builder = new L1Builder(l1Size, form);
  const stored: (readonly [cluster: number, offset: number])[] = [];
  for (let cluster = 0; cluster < l1Size; cluster++) {
    const bytes = bits.viewAt(cluster * clusterSize, clusterSize);
    const validBits = Math.min(clusterSize * 8, bits.bitCount - cluster * clusterSize * 8);
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
      for (const [cluster, offset] of stored) yield { offset, bytes: bits.viewAt(cluster * clusterSize, clusterSize) };
    },
  };
}
