// Limits of qcow2's own structures. Those that QDB took over from QEMU come from @qdb/format.
import { MAX_GRANULARITY, MAX_TABLE_SIZE, MIN_GRANULARITY } from "@qdb/format/internal";

/** Smallest and largest `granularity_bits`, as in QEMU; the document itself allows 0 to 63 (qcow2: Bitmap directory). */
export const GRANULARITY_BITS = { min: Math.log2(MIN_GRANULARITY), max: Math.log2(MAX_GRANULARITY) } as const;
/** Largest bitmap directory in bytes: as large as the bitmap table of a QDB file. */
export const MAX_DIRECTORY_SIZE = MAX_TABLE_SIZE;
/** Most bytes of bitmap tables of one image: 16 bitmaps of 2^32 bits in clusters of 512 bytes. */
export const MAX_TABLES_SIZE: number = 128 * 1024 * 1024;
/** Longest L1 table in bytes, of the image or of a snapshot, as in QEMU. */
export const MAX_L1_SIZE: number = 32 * 1024 * 1024;
/** Longest refcount table in bytes, as in QEMU. */
export const MAX_REFCOUNT_TABLE_SIZE: number = 8 * 1024 * 1024;
/** Most snapshots of one image, as in QEMU. */
export const MAX_SNAPSHOTS = 65536;
