import { limitOf } from "./integers.ts";

/** Maximum of `cluster_bits`: clusters of 2 MiB, as in QEMU. */
export const MAX_CLUSTER_BITS = 21;
/** Minimum of `cluster_bits`: clusters of 512 bytes. */
export const MIN_CLUSTER_BITS = 9;
/** Whether a value of `cluster_bits`, the log2 of the cluster size, is allowed. */
export function isClusterBits(value: number): boolean {
  return Number.isInteger(value) && value >= MIN_CLUSTER_BITS && value <= MAX_CLUSTER_BITS;
}
/** Maximum number of bitmaps in a file. */
export const MAX_BITMAPS = 65535;
/** Maximum length of the bitmap table in bytes. */
export const MAX_TABLE_SIZE = 64 * 1024 * 1024;
/** Maximum number of header extensions in a file. */
export const MAX_EXTENSIONS = 64;
/** Maximum length of a bitmap's name, in bytes of UTF-8. */
export const MAX_NAME_SIZE = 1023;
/** Maximum length of the extra data of a bitmap, in bytes. */
export const MAX_EXTRA_DATA_SIZE = 4096;
/** Minimum granularity, in bytes per bit. */
export const MIN_GRANULARITY = 512;
/** Default granularity of a new bitmap, in bytes per bit. */
export const DEFAULT_GRANULARITY: number = 64 * 1024;
/** Maximum granularity, in bytes per bit. */
export const MAX_GRANULARITY = 2 ** 31;
/** Whether a granularity, in bytes per bit, is allowed: a power of two from 512 to 2^31. */
export function isGranularity(bytes: number): boolean {
  return (
    Number.isInteger(bytes) &&
    bytes >= MIN_GRANULARITY &&
    bytes <= MAX_GRANULARITY &&
    Number.isInteger(Math.log2(bytes))
  );
}
/** Maximum number of bits of a bitmap. They take 512 MiB. QEMU has the same limit. */
export const MAX_BITS = 2 ** 32;
/** Maximum size in bytes of a disk that a bitmap can track. */
export const MAX_DISK_SIZE: bigint = 2n ** 63n - 1n;
/** Length of the header area in bytes. In full form it is always 4096, whatever the cluster size. */
export const HEADER_AREA_SIZE = 4096;
/** Maximum file offset. A larger one counts as past the end of every file (spec §1). */
export const MAX_FILE_OFFSET = 2 ** 53;

/** Limits that a caller may set; Infinity is no limit. An operation that would exceed one fails with LIMIT, a limit that is no whole number with USAGE. */
export interface Limits {
  /** Maximum number of bytes that the bits of the bitmaps that one call reads may take in memory (default 512 MiB). */
  readonly maxBitmapBytes?: number | undefined;
  /** Maximum number of bytes of L1 areas and data clusters, of all bitmaps together, that a repair may write (default 4 GiB). */
  readonly maxRepairBytes?: number | undefined;
}
/** Default of {@link Limits.maxRepairBytes}. */
const DEFAULT_MAX_REPAIR_BYTES = 4 * 1024 * 1024 * 1024;
/** Default of {@link Limits.maxBitmapBytes}. */
const DEFAULT_MAX_BITMAP_BYTES = 512 * 1024 * 1024;
/** Returns the limit of the bits in memory that a caller has set, or its default. @throws {QdbError} USAGE (see {@link limitOf}) */
export function maxBitmapBytesOf({ maxBitmapBytes }: Limits): number {
  return limitOf(maxBitmapBytes, DEFAULT_MAX_BITMAP_BYTES, "maxBitmapBytes");
}
/** Returns the limit of what a repair may write that a caller has set, or its default. @throws {QdbError} USAGE (see {@link limitOf}) */
export function maxRepairBytesOf({ maxRepairBytes }: Limits): number {
  return limitOf(maxRepairBytes, DEFAULT_MAX_REPAIR_BYTES, "maxRepairBytes");
}
/** Maximum generation. A file that has reached it takes no more commits (spec §2). */
export const MAX_GENERATION = 2n ** 64n - 1n;
