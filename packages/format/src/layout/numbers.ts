import { MAX_FILE_OFFSET } from "../limits.ts";

/** `x` rounded up to a multiple of 8 (spec §1). */
export function align8(x: number): number {
  return Math.ceil(x / 8) * 8;
}

/** `x` rounded up to a multiple of `unit`. */
export function alignUp(x: number, unit: number): number {
  return Math.ceil(x / unit) * unit;
}

/** A u64 of the file as a file offset in bytes; above 2^53 it is Infinity, which is past the end of every file (spec §1). */
export function fileOffset(value: bigint): number {
  return value > BigInt(MAX_FILE_OFFSET) ? Number.POSITIVE_INFINITY : Number(value);
}

/** Whether `[offset, offset + length)` lies inside a file of `size` bytes. */
export function isInside(offset: number, length: number, size: number): boolean {
  return offset + length <= Math.min(size, MAX_FILE_OFFSET);
}

/** How many bits cover a disk: ceil(size / granularity), up to 2^32 and more, exact for every u64 (spec §1). */
export function bitsOf(size: bigint, granularity: number): bigint {
  return size === 0n ? 0n : (size - 1n) / BigInt(granularity) + 1n;
}

/** Whether `x` is a power of two. */
export function isPowerOfTwo(x: number): boolean {
  return x > 0 && Number.isInteger(Math.log2(x));
}

/** A number where it is exact, else the bigint itself: for offsets shown in messages. */
export function shown(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
