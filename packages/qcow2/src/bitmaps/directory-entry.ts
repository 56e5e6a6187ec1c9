import { align8, struct, u8, u16, u32, u64 } from "@qdb/format/container";

/** Entry of the bitmap directory, 24 bytes (qcow2: Bitmap directory). The extra data, the name and padding to a multiple of 8 follow it. */
export const DIRECTORY_ENTRY = struct("bitmap directory entry", 24, {
  /** File offset of the bitmap table in bytes, cluster-aligned. */
  bitmapTableOffset: [0, u64],
  /** Number of entries of the bitmap table. */
  bitmapTableSize: [8, u32],
  /** Bit 0 in_use, bit 1 auto, bit 2 extra_data_compatible. */
  flags: [12, u32],
  /** 1: dirty tracking. */
  type: [16, u8],
  /** A bit is 1 << granularity_bits bytes of the disk. */
  granularityBits: [17, u8],
  /** Length of the name in bytes. */
  nameSize: [18, u16],
  /** Length of the extra data in bytes. */
  extraDataSize: [20, u32],
});

/** Flags of a bitmap that this package knows (qcow2: Bitmap directory). */
export const BITMAP_FLAG = { inUse: 1, auto: 2 } as const;
/** Names of the flags by their bits, as in a QDB file. */
export const FLAG_NAMES: readonly string[] = ["in_use", "enabled"];
/** The value of the field `type` for a dirty tracking bitmap. qcow2 defines no other type of bitmap. */
export const DIRTY_TRACKING = 1;

/** Returns the length in bytes of the directory entry at `start`, with its padding. The 24 bytes of its fixed part must lie inside `directory`. */
export function entryLength(directory: Uint8Array, start: number): number {
  const { extraDataSize, nameSize } = DIRECTORY_ENTRY.decode(directory, start);
  return align8(DIRECTORY_ENTRY.size + extraDataSize + nameSize);
}

/** Returns the bytes of the name in the directory entry at `start`. The name follows the extra data. */
export function entryName(directory: Uint8Array, start: number): Uint8Array {
  const { extraDataSize, nameSize } = DIRECTORY_ENTRY.decode(directory, start);
  const at = start + DIRECTORY_ENTRY.size + extraDataSize;
  return directory.subarray(at, at + nameSize);
}
