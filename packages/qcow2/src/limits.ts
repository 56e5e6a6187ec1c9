/** Smallest and largest `cluster_bits`: 512 bytes, and the 2 MiB that QEMU ends at (qcow2: Header). */
export const CLUSTER_BITS = { min: 9, max: 21 } as const;
/** Smallest and largest `granularity_bits`, as QEMU has them; the document itself allows 0 to 63 (qcow2: Bitmap directory). */
export const GRANULARITY_BITS = { min: 9, max: 31 } as const;
/** Most bitmaps of one image, as in QEMU. */
export const MAX_BITMAPS = 65535;
/** Largest bitmap directory in bytes. */
export const MAX_DIRECTORY_SIZE: number = 64 * 1024 * 1024;
/** Most bytes of bitmap tables of one image: 16 bitmaps of 2^32 bits in clusters of 512 bytes. */
export const MAX_TABLES_SIZE: number = 128 * 1024 * 1024;
/** Longest L1 table in bytes, of the image or of a snapshot, as in QEMU. */
export const MAX_L1_SIZE: number = 32 * 1024 * 1024;
/** Longest refcount table in bytes, as in QEMU. */
export const MAX_REFCOUNT_TABLE_SIZE: number = 8 * 1024 * 1024;
/** Most snapshots of one image, as in QEMU. */
export const MAX_SNAPSHOTS = 65536;
/** Longest name in bytes, as in QEMU. */
export const MAX_NAME_SIZE = 1023;
/** Most bits of one bitmap: 512 MiB of data, as in QEMU. */
export const MAX_BITS: bigint = 2n ** 32n;
/** Largest virtual disk in bytes that the bits of QDB can describe. */
export const MAX_DISK_SIZE: bigint = 2n ** 63n - 1n;
