import { MAX_FILE_OFFSET } from "../limits.ts";

/** `x` rounded up to a multiple of 8 (spec §1). */
export function align8(x: number): number {
  return Math.ceil(x / 8) * 8;
}

/** `x` rounded up to a multiple of `unit`. */
export function alignUp(x: number, unit: number): number {
  return Math.ceil(x / unit) * unit;
}

/** A u64 as a file offset in bytes. Above 2^53 it is Infinity, which is past the end of every file (spec §1). */
export function fileOffset(value: bigint): number {
  return value > BigInt(MAX_FILE_OFFSET) ? Number.POSITIVE_INFINITY : Number(value);
}

/** Whether `[offset, offset + length)` lies inside a file of `size` bytes. */
export function isInside(offset: number, length: number, size: number): boolean {
  return offset + length <= Math.min(size, MAX_FILE_OFFSET);
}

/** Number of bits of a disk: ceil(size / granularity), exact for every u64 (spec §1). */
export function bitsOf(size: bigint, granularity: number): bigint {
  return size === 0n ? 0n : (size - 1n) / BigInt(granularity) + 1n;
}

/** Bits 32-55 of a u64, in its more significant half: the upper part of {@link descriptorOffset}. */
export const DESCRIPTOR_OFFSET_HIGH = 0x00ffffff;

/**
 * The file offset in bits 9-55 of a u64, in bytes. L1 entries have it there, and so do the tables of qcow2. `high` is bits 32-63,
 * `low` is bits 0-31. The result is exact: it is a multiple of 512 below 2^56.
 */
export function descriptorOffset(high: number, low: number): number {
  return (high & DESCRIPTOR_OFFSET_HIGH) * 2 ** 32 + ((low & 0xfffffe00) >>> 0);
}

/** A number if it is exact, otherwise the bigint: for offsets in messages. */
export function shown(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
