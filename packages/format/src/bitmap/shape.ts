import { QdbError } from "../errors.ts";
import { isGranularity, MAX_BITS, MAX_DISK_SIZE } from "../limits.ts";

/** The shape of a bitmap: it tracks `size` bytes of a disk, `granularity` bytes for each bit (spec §1). */
export interface BitmapShape {
  /** Length of the tracked disk in bytes, 0..2^63-1. */
  readonly size: bigint;
  /** Bytes per bit: a power of two, 512..2^31. */
  readonly granularity: number;
}

/** A range of the tracked disk in bytes. Values above 2^53 must be bigints, since numbers would be rounded. */
export interface DiskRange {
  readonly offset: number | bigint;
  readonly length: number | bigint;
}

/** A range of bits, [first, end). `end` can be 2^32. */
export interface BitRange {
  readonly first: number;
  readonly end: number;
}

/** Whether the format allows a shape: granularity and size are valid, and there are at most 2^32 bits. */
export function isShape({ size, granularity }: BitmapShape): boolean {
  const isSize = size >= 0n && size <= MAX_DISK_SIZE;
  return isGranularity(granularity) && isSize && size <= BigInt(MAX_BITS) * BigInt(granularity);
}

/**
 * Returns the number of bits of a shape, ceil(size / granularity).
 * @throws {QdbError} USAGE if the format does not allow the size or the granularity; LIMIT if there are more than 2^32 bits
 */
export function bitsOfShape({ size, granularity }: BitmapShape): number {
  if (!isGranularity(granularity)) {
    throw new QdbError("USAGE", `granularity ${granularity} is no power of two from 512 to 2147483648`, {
      field: "granularity",
    });
  }
  if (size < 0n || size > MAX_DISK_SIZE) {
    throw new QdbError("USAGE", `size ${size} is not in 0..2^63-1`, { field: "size" });
  }
  const bitCount = size === 0n ? 0n : (size - 1n) / BigInt(granularity) + 1n;
  if (bitCount > BigInt(MAX_BITS)) {
    throw new QdbError("LIMIT", `${bitCount} bits are more than 2^32; use a coarser granularity for ${size} bytes`, {
      field: "size",
    });
  }
  return Number(bitCount);
}

function exact(value: number | bigint, field: string): bigint {
  if (typeof value === "bigint") return value;
  if (!Number.isSafeInteger(value)) {
    throw new QdbError("USAGE", `${field} ${value} is no whole number below 2^53; give larger ones as bigint`, {
      field,
    });
  }
  return BigInt(value);
}

/**
 * Returns start and end of a range in bytes.
 * @throws {QdbError} USAGE if a value is negative or not exact, or the range ends past the disk
 */
function bounds(range: DiskRange, shape: BitmapShape): readonly [start: bigint, end: bigint] {
  const start = exact(range.offset, "offset");
  const length = exact(range.length, "length");
  if (start < 0n || length < 0n || start + length > shape.size) {
    throw new QdbError("USAGE", `the range ${start}+${length} does not lie inside the disk's ${shape.size} bytes`, {
      field: "offset",
    });
  }
  return [start, start + length];
}

/**
 * Returns the bits whose granules overlap a range: the range is rounded outward, as it must be to mark bits dirty.
 * @throws {QdbError} USAGE if the range is not inside the disk
 */
export function bitsOutward(range: DiskRange, shape: BitmapShape): BitRange {
  const { offset, length } = range;
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && Number(offset) >= 0 && Number(length) > 0) {
    // Bigints are slow, and most ranges are exact as numbers.
    const end = Number(offset) + Number(length);
    if (end <= Number.MAX_SAFE_INTEGER && end <= Number(shape.size)) {
      return {
        first: Math.floor(Number(offset) / shape.granularity),
        end: Math.floor((end - 1) / shape.granularity) + 1,
      };
    }
  }
  const [start, end] = bounds(range, shape);
  const granularity = BigInt(shape.granularity);
  if (start === end) return { first: 0, end: 0 };
  return { first: Number(start / granularity), end: Number((end - 1n) / granularity) + 1 };
}

/**
 * Returns the bits whose granules, clipped to the end of the disk, are inside a range: the range is rounded inward, as it must be to mark
 * bits clean.
 * @throws {QdbError} USAGE if the range is not inside the disk
 */
export function bitsInward(range: DiskRange, shape: BitmapShape): BitRange {
  const [start, end] = bounds(range, shape);
  const granularity = BigInt(shape.granularity);
  const first = Number((start + granularity - 1n) / granularity);
  const last = end === shape.size ? bitsOfShape(shape) : Number(end / granularity);
  return first < last ? { first, end: last } : { first: 0, end: 0 };
}

/** Returns the range of the disk, in bytes, for which bits stand, clipped to the end of the disk. */
export function bytesOfBits(
  { first, end }: BitRange,
  shape: BitmapShape,
): { readonly offset: bigint; readonly length: bigint } {
  const granularity = BigInt(shape.granularity);
  const offset = BigInt(first) * granularity;
  const stop = BigInt(end) * granularity;
  return { offset, length: (stop < shape.size ? stop : shape.size) - offset };
}
