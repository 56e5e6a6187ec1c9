/** Largest `cluster_bits`: clusters of 2 MiB, as in QEMU. */
export const MAX_CLUSTER_BITS = 21;
/** Smallest `cluster_bits`: clusters of 512 bytes. */
export const MIN_CLUSTER_BITS = 9;
/** Whether a number can be the log2 of a cluster size. */
export function isClusterBits(value: number): boolean {
  return Number.isInteger(value) && value >= MIN_CLUSTER_BITS && value <= MAX_CLUSTER_BITS;
}
/** Most bitmaps of one file. */
export const MAX_BITMAPS = 65535;
/** Largest bitmap table, in bytes. */
export const MAX_TABLE_SIZE = 64 * 1024 * 1024;
/** Most header extensions of one file. */
export const MAX_EXTENSIONS = 64;
/** Longest bitmap name, in bytes of UTF-8. */
export const MAX_NAME_SIZE = 1023;
/** Most bytes of extra data of one bitmap. */
export const MAX_EXTRA_DATA_SIZE = 4096;
/** Finest granularity, in bytes a bit. */
export const MIN_GRANULARITY = 512;
/** Coarsest granularity, in bytes a bit. */
export const MAX_GRANULARITY = 2 ** 31;
/** Whether a number of bytes can be the granularity of a bitmap: a power of two, 512..2^31. */
export function isGranularity(bytes: number): boolean {
  return bytes >= MIN_GRANULARITY && bytes <= MAX_GRANULARITY && Number.isInteger(Math.log2(bytes));
}
/** Most bits of one bitmap: 512 MiB of data, as in QEMU. */
export const MAX_BITS = 2 ** 32;
/** Largest disk that a bitmap can track, in bytes. */
export const MAX_DISK_SIZE: bigint = 2n ** 63n - 1n;
/** The header area, always bytes [0, 4096) of a full file. */
export const HEADER_AREA_SIZE = 4096;
/** File offsets above this count as past the end of the file (spec §1). */
export const MAX_FILE_OFFSET = 2 ** 53;

/** Limits that a caller may set. */
export interface Limits {
  /** Most bytes that the bits of one Bitmap may take in memory, otherwise LIMIT (default 512 MiB). */
  readonly maxBitmapBytes?: number;
  /** Most bytes of L1 areas and data clusters that a repair may write for all bitmaps, otherwise LIMIT (default 4 GiB). */
  readonly maxRepairBytes?: number;
}
/** Default of {@link Limits.maxRepairBytes}. */
export const DEFAULT_MAX_REPAIR_BYTES = 4 * 1024 * 1024 * 1024;
/** Default of {@link Limits.maxBitmapBytes}. */
export const DEFAULT_MAX_BITMAP_BYTES = 512 * 1024 * 1024;
/** The last generation of a file: no commit can follow it (spec §2). */
export const MAX_GENERATION = 2n ** 64n - 1n;
