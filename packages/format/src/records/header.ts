import { bytes, u32, u64, viewOf } from "../layout/fields.ts";
import { type Decoded, struct } from "../layout/struct.ts";
import { HEADER_AREA_SIZE, MAX_CLUSTER_BITS, MIN_CLUSTER_BITS } from "../limits.ts";
import type { Crc32 } from "../ports/digest.ts";

/** The magic, which is the first four bytes of a file: `51 44 42 00`. */
export const MAGIC = 0x51444200;
/** Whether bytes from the start of a file begin with the magic. */
export function hasMagic(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && u32.read(viewOf(bytes), 0) === MAGIC;
}
/** The version that this library reads and writes. */
export const VERSION = 1;
/** header_length of the draft form, in bytes. */
export const DRAFT_HEADER_LENGTH = 28;
/** The header_length that is written in headers of the full form, in bytes. */
export const FULL_HEADER_LENGTH = 104;

/** The header of the draft form, as it was posted in 2014: spec §2, 28 bytes at file offset 0. */
export const DRAFT_HEADER = struct("header", DRAFT_HEADER_LENGTH, {
  magic: [0, u32],
  version: [4, u32],
  clusterBits: [8, u32],
  nbBitmaps: [12, u32],
  bitmapsOffset: [16, u64],
  headerLength: [24, u32],
});

/** The header of the full form: spec §2, 104 bytes at file offset 0 and at the offset of the mirror. */
export const HEADER = struct("header", FULL_HEADER_LENGTH, {
  ...DRAFT_HEADER.fields,
  bitmapsSize: [28, u32],
  incompatibleFeatures: [32, u64],
  compatibleFeatures: [40, u64],
  autoclearFeatures: [48, u64],
  generation: [56, u64],
  tableChecksum: [64, u32],
  headerChecksum: [68, u32],
  writerId: [72, bytes(16)],
  fileId: [88, bytes(16)],
});

/** The decoded fields of a header of full form; see {@link HEADER}. */
export type Header = Decoded<typeof HEADER.fields>;

/** The form of a file. `full`: with checksums, a mirror and feature bits. `draft`: with the header of 28 bytes as it was posted in 2014. */
export type Form = "full" | "draft";

const CHECKSUM_OFFSET = HEADER.fields.headerChecksum[0];

/** Computes the CRC-32 of a header area of 4096 bytes, with the four bytes of header_checksum taken as zero (QDB-HDR-013). */
export function headerChecksum(area: Uint8Array, crc32: Crc32): number {
  const before = crc32(area.subarray(0, CHECKSUM_OFFSET));
  const zeros = crc32(new Uint8Array(4), before);
  return crc32(area.subarray(CHECKSUM_OFFSET + 4, HEADER_AREA_SIZE), zeros);
}

/** Computes the checksum of a header area, and writes it into header_checksum. */
export function sealHeaderArea(area: Uint8Array, crc32: Crc32): void {
  u32.write(new DataView(area.buffer, area.byteOffset, area.byteLength), CHECKSUM_OFFSET, headerChecksum(area, crc32));
}

/** Converts the header of a draft to one of full form. The fields that the draft form does not have become zero. */
export function fromDraft(draft: Decoded<typeof DRAFT_HEADER.fields>): Header {
  const area = new Uint8Array(FULL_HEADER_LENGTH);
  return { ...HEADER.decode(area), ...draft };
}

/** Returns the file offset of the mirror in bytes: H, the larger of the cluster size and 4096 (spec §1). */
export function mirrorOffset(clusterSize: number): number {
  return Math.max(clusterSize, HEADER_AREA_SIZE);
}

/** All file offsets that a mirror can have, in ascending order: 2^12 to 2^21 (spec §2, Opening). */
export const MIRROR_OFFSETS: readonly number[] = [
  ...new Set(
    Array.from({ length: MAX_CLUSTER_BITS - MIN_CLUSTER_BITS + 1 }, (_, index) =>
      mirrorOffset(2 ** (MIN_CLUSTER_BITS + index)),
    ),
  ),
];
