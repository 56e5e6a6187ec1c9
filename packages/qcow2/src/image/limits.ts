// Limits for structures of qcow2. Limits that QDB and QEMU have in common come from @qdb/format.
import { MAX_GRANULARITY, MAX_TABLE_SIZE, MIN_GRANULARITY } from "@qdb/format/internal";

/** Smallest and largest `granularity_bits` that QEMU accepts. The qcow2 specification allows 0 to 63 (Bitmap directory). */
export const GRANULARITY_BITS = { min: Math.log2(MIN_GRANULARITY), max: Math.log2(MAX_GRANULARITY) } as const;
/** Maximum length of a bitmap directory in bytes, the same as for the bitmap table of a QDB file. */
export const MAX_DIRECTORY_SIZE = MAX_TABLE_SIZE;
/** Maximum number of bytes of all bitmap tables of an image: enough for 16 bitmaps of 2^32 bits in clusters of 512 bytes. */
export const MAX_TABLES_SIZE: number = 128 * 1024 * 1024;
/** Maximum length in bytes of the L1 table of the image or of a snapshot, as in QEMU. */
export const MAX_L1_SIZE: number = 32 * 1024 * 1024;
/** Maximum length of the refcount table in bytes, as in QEMU. */
export const MAX_REFCOUNT_TABLE_SIZE: number = 8 * 1024 * 1024;
/** Maximum number of snapshots of an image, as in QEMU. */
export const MAX_SNAPSHOTS = 65536;
