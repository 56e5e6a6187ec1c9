/** Smallest and largest `cluster_bits`: 512 bytes, and the 2 MiB that QEMU ends at (qcow2: Header). */
export const CLUSTER_BITS = { min: 9, max: 21 } as const;
/** Smallest and largest `granularity_bits`, as QEMU has them; the document itself allows 0 to 63 (qcow2: Bitmap directory). */
export const GRANULARITY_BITS = { min: 9, max: 31 } as const;
/** Most bitmaps of one image, as in QEMU. */
export const MAX_BITMAPS = 65535;
/** Largest bitmap directory in bytes. */
export const MAX_DIRECTORY_SIZE: number = 64 * 1024 * 1024;
/** Longest name in bytes, as in QEMU. */
export const MAX_NAME_SIZE = 1023;
/** Most bits of one bitmap: 512 MiB of data, as in QEMU. */
export const MAX_BITS: bigint = 2n ** 32n;
/** Largest virtual disk in bytes that the bits of QDB can describe. */
export const MAX_DISK_SIZE: bigint = 2n ** 63n - 1n;
