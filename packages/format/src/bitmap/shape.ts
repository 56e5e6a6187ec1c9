import { QdbError } from "../errors.ts";
import { exactInteger, wholeNumber } from "../integers.ts";
import { isGranularity, MAX_BITS, MAX_DISK_SIZE } from "../limits.ts";

/** The shape of a bitmap: it tracks `size` bytes of a disk, `granularity` bytes for each bit (spec §1). */
export interface BitmapShape {
  /** Length of the tracked disk in bytes, 0..2^63-1. */
  readonly size: bigint;
  /** Bytes per bit: a power of two, 512..2^31. */
  readonly granularity: number;
}

/** A shape as callers give it. A size above 2^53 must be a bigint, since a number would be rounded. */
export interface ShapeInput {
  /** Length of the tracked disk in bytes, 0..2^63-1. */
  readonly size: number | bigint;
  /** Bytes a bit: a power of two, 512..2^31. */
  readonly granularity: number;
}

/** A range of the tracked disk in bytes. Values above 2^53 must be bigints, since numbers would be rounded. */
export interface DiskRange {
  readonly offset: number | bigint;
  readonly length: number | bigint;
}

/** A dirty range of the tracked disk in bytes, clipped to the disk, and to the range that the caller asked for. */
export interface Extent {
  readonly offset: bigint;
  readonly length: bigint;
}

/** A part of the tracked disk in bytes, from an offset on. */
export interface DiskPart {
  readonly offset: number | bigint;
  /** The default is the rest of the disk. */
  readonly length?: number | bigint | undefined;
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
export function bitsOfShape({ size: givenSize, granularity }: ShapeInput): number {
  const size = exactInteger(givenSize, "size");
  if (!isGranularity(granularity)) {
    throw new QdbError("USAGE", `granularity ${String(granularity)} is no power of two from 512 to 2147483648`, {
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

/**
 * Returns start and end of a range, and the size of its disk, in bytes.
 * @throws {QdbError} USAGE if a value is negative or not exact, or the range ends past the disk
 */
function bounds(
  range: DiskRange,
  shape: ShapeInput,
): { readonly start: bigint; readonly end: bigint; readonly size: bigint } {
  const start = exactInteger(range.offset, "offset");
  const length = exactInteger(range.length, "length");
  const size = exactInteger(shape.size, "size");
  if (start < 0n || length < 0n || start + length > size) {
    throw new QdbError("USAGE", `the range ${start}+${length} does not lie inside the disk's ${size} bytes`, {
      field: length < 0n ? "length" : "offset",
    });
  }
  return { start, end: start + length, size };
}

/** Returns a part of a disk with its length. An offset past the end of the disk gives a negative length, which is refused when it is used. */
export function rangeOfPart({ offset, length }: DiskPart, shape: ShapeInput): DiskRange {
  return {
    offset,
    length: length === undefined ? exactInteger(shape.size, "size") - exactInteger(offset, "offset") : length,
  };
}

/**
 * Returns the bits whose granules overlap a range: the range is rounded outward, as it must be to mark bits dirty.
 * @throws {QdbError} USAGE if the range is not inside the disk
 */
export function bitsOutward(range: DiskRange, shape: ShapeInput): BitRange {
  const { offset, length } = range;
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && Number(offset) >= 0 && Number(length) > 0) {
    // Bigints are slow, and most ranges are exact as numbers.
    const end = Number(offset) + Number(length);
    if (end <= Number.MAX_SAFE_INTEGER && end <= Number(exactInteger(shape.size, "size"))) {
      return {
        first: Math.floor(Number(offset) / shape.granularity),
        end: Math.floor((end - 1) / shape.granularity) + 1,
      };
    }
  }
  const { start, end } = bounds(range, shape);
  const granularity = BigInt(shape.granularity);
  if (start === end) return { first: 0, end: 0 };
  return { first: Number(start / granularity), end: Number((end - 1n) / granularity) + 1 };
}

/**
 * Returns the bits whose granules, clipped to the end of the disk, are inside a range: the range is rounded inward, as it must be to mark
 * bits clean.
 * @throws {QdbError} USAGE if the range is not inside the disk
 */
export function bitsInward(range: DiskRange, shape: ShapeInput): BitRange {
  const { start, end, size } = bounds(range, shape);
  const granularity = BigInt(shape.granularity);
  const first = Number((start + granularity - 1n) / granularity);
  const last = end === size ? bitsOfShape(shape) : Number(end / granularity);
  return first < last ? { first, end: last } : { first: 0, end: 0 };
}

/** Returns the range of the disk, in bytes, for which bits stand, clipped to the end of the disk. @throws {QdbError} USAGE if a value is no whole number */
export function bytesOfBits({ first, end }: BitRange, shape: ShapeInput): Extent {
  const granularity = BigInt(shape.granularity);
  const size = exactInteger(shape.size, "size");
  const offset = BigInt(wholeNumber(first, "first")) * granularity;
  const stop = BigInt(wholeNumber(end, "end")) * granularity;
  return { offset, length: (stop < size ? stop : size) - offset };
}

/**
 * Returns the number of dirty bytes of the disk, or of the range `within` of the disk, that `count` dirty bits stand for. `ends` says
 * whether the first and the last bit of that range are dirty: only the granules of these bits can reach past the range, and they are
 * clipped to it.
 */
export function dirtyBytes(
  count: number,
  shape: BitmapShape,
  ends: { readonly first?: boolean; readonly last: boolean },
  within: DiskPart = { offset: 0 },
): bigint {
  const granularity = BigInt(shape.granularity);
  const { offset, length } = rangeOfPart(within, shape);
  const start = BigInt(offset);
  const end = start + BigInt(length);
  let bytes = BigInt(count) * granularity;
  if (ends.first === true) bytes -= start % granularity;
  if (ends.last) bytes -= (granularity - (end % granularity)) % granularity;
  return bytes;
}

/** @throws {QdbError} SIZE_MISMATCH if a source covers a disk of another size than the bitmap with which it is combined */
export function requireSameSize(bitmap: BitmapShape, source: BitmapShape): void {
  if (bitmap.size === source.size) return;
  throw new QdbError(
    "SIZE_MISMATCH",
    `the source covers a disk of ${source.size} bytes, the bitmap one of ${bitmap.size}; resize one of them first`,
    { field: "size" },
  );
}
