import { exactInteger } from "../integers.ts";
import { MAX_FILE_OFFSET } from "../limits.ts";

/** Rounds `x` up to a multiple of 8 (spec §1). */
export function align8(x: number): number {
  return Math.ceil(x / 8) * 8;
}

/** Rounds `x` up to a multiple of `unit`. */
export function alignUp(x: number, unit: number): number {
  return Math.ceil(x / unit) * unit;
}

/** Converts a u64 to a file offset in bytes. A value above 2^53 becomes Infinity, which is past the end of every file (spec §1). */
export function fileOffset(value: bigint): number {
  return value > BigInt(MAX_FILE_OFFSET) ? Number.POSITIVE_INFINITY : Number(value);
}

/** Whether the range `[offset, offset + length)` is inside a file of `size` bytes. */
export function isInside(offset: number, length: number, size: number): boolean {
  return offset + length <= Math.min(size, MAX_FILE_OFFSET);
}

/** Returns the number of bits for a disk of `size` bytes: ceil(size / granularity), exact for every u64 (spec §1). @throws {QdbError} USAGE if the size is not exact */
export function bitsOf(size: number | bigint, granularity: number): bigint {
  const bytes = exactInteger(size, "size");
  return bytes === 0n ? 0n : (bytes - 1n) / BigInt(granularity) + 1n;
}

/** Mask of bits 32-55 of a u64, for its upper 32 bits. They are the upper part of the file offset that {@link descriptorOffset} returns. */
export const DESCRIPTOR_OFFSET_HIGH = 0x00ffffff;

/**
 * Returns the file offset, in bytes, that bits 9-55 of a u64 hold in L1 entries and in the tables of qcow2. `high` is bits 32-63 of the
 * u64, `low` is bits 0-31. The result is exact as a number, since it is a multiple of 512 below 2^56.
 */
export function descriptorOffset(high: number, low: number): number {
  return (high & DESCRIPTOR_OFFSET_HIGH) * 2 ** 32 + ((low & 0xfffffe00) >>> 0);
}

/** Returns a value as a number if that is exact, otherwise as the bigint. It is used for offsets in messages. */
export function shown(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
