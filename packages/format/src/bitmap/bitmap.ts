import { wordAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { coarsen, refine } from "./granularity.ts";
import { ExtentBatch, RunCollector } from "./runs.ts";
import { type BitmapShape, type BitRange, bitsInward, bitsOfShape, bitsOutward, type DiskRange } from "./shape.ts";
import * as kernel from "./words.ts";

/** Words that are searched for extents at a time. */
const WINDOW_WORDS = 65536;

/**
 * A dirty bitmap in memory: which granules of a disk changed. Ranges are in bytes unless a name says bits.
 * Marking dirty rounds outward, marking clean rounds inward, so that no dirty bit is lost (spec §5, Dirt).
 */
export class Bitmap implements BitmapShape {
  readonly size: bigint;
  readonly granularity: number;
  /** Number of bits, ceil(size / granularity), 0..2^32. */
  readonly bitCount: number;
  /** Bits behind the last one are always zero. */
  readonly #words: Uint32Array;

  private constructor(shape: BitmapShape, words?: Uint32Array) {
    this.size = shape.size;
    this.granularity = shape.granularity;
    this.bitCount = bitsOfShape(shape);
    this.#words = words ?? new Uint32Array(kernel.wordsFor(this.bitCount));
    this.#clearTail();
  }

  /** A bitmap with no dirty bit. @throws {QdbError} USAGE, LIMIT for an impossible shape */
  static clean(shape: BitmapShape): Bitmap {
    return new Bitmap(shape);
  }

  /** A bitmap with every bit dirty. @throws {QdbError} USAGE, LIMIT for an impossible shape */
  static dirty(shape: BitmapShape): Bitmap {
    const bitmap = new Bitmap(shape);
    kernel.fillBits(bitmap.#words, 0, bitmap.bitCount, true);
    return bitmap;
  }

  /**
   * A bitmap of LSB-first bytes, ceil(bitCount / 8) of them (spec §1). Bits behind the last one are ignored.
   * @throws {QdbError} USAGE, LIMIT for an impossible shape, SIZE_MISMATCH for another number of bytes
   */
  static fromBytes(bytes: Uint8Array, shape: BitmapShape): Bitmap {
    const needed = Math.ceil(bitsOfShape(shape) / 8);
    if (bytes.length !== needed) {
      throw new QdbError(
        "SIZE_MISMATCH",
        `${bytes.length} bytes of bits given, ${shape.size} bytes at granularity ${shape.granularity} need ${needed}`,
      );
    }
    return new Bitmap(shape, kernel.wordsFromBytes(bytes));
  }

  /** The bits as LSB-first bytes, ceil(bitCount / 8) of them. */
  toBytes(): Uint8Array {
    return this.bytesAt(0, Math.ceil(this.bitCount / 8));
  }

  /** LSB-first bytes [start, start + length) of the bits, as a copy; zero behind the last bit. */
  bytesAt(start: number, length: number): Uint8Array {
    return kernel.bytesFromWords(this.#words, start, length);
  }

  /** The same bytes for reading, valid until the bitmap changes: a view if the machine's byte order allows one. */
  viewAt(start: number, length: number): Uint8Array {
    return kernel.viewAsBytes(this.#words, start, length);
  }

  /**
   * Merges words of bits, from bit `base` on, a multiple of 32 (OR). Bits behind the last one are ignored. For filling a bitmap piece by
   * piece.
   */
  mergeWordsAt(base: number, words: Uint32Array): void {
    const at = base / 32;
    kernel.orWords(this.#words.subarray(at, at + words.length), words);
    this.#clearTail();
  }

  #clearTail(): void {
    kernel.fillBits(this.#words, this.bitCount, this.#words.length * 32, false);
  }

  /** Whether a bit is dirty; false for a bit that the bitmap does not have. */
  isDirty(bit: number): boolean {
    return bit >= 0 && bit < this.bitCount && ((wordAt(this.#words, Math.floor(bit / 32)) >>> (bit % 32)) & 1) === 1;
  }

  /** Marks every bit dirty that a range touches. @throws {QdbError} USAGE for a range that is not inside the disk */
  mark(range: DiskRange): void {
    this.markBits(bitsOutward(range, this));
  }

  /** Marks every bit clean whose whole granule lies in a range. @throws {QdbError} USAGE for a range that is not inside the disk */
  unmark(range: DiskRange): void {
    const { first, end } = bitsInward(range, this);
    kernel.fillBits(this.#words, first, end, false);
  }

  /** Marks bits dirty. @throws {QdbError} USAGE for bits that the bitmap does not have */
  markBits({ first, end }: BitRange): void {
    if (!(Number.isInteger(first) && Number.isInteger(end) && first >= 0 && first <= end && end <= this.bitCount)) {
      throw new QdbError("USAGE", `bits ${first} to ${end} are not inside the bitmap's ${this.bitCount}`);
    }
    kernel.fillBits(this.#words, first, end, true);
  }

  /** Number of dirty bits. */
  count(): number {
    return kernel.countBits(this.#words);
  }

  /** Number of dirty bytes of the disk. The last granule is clipped to the disk. */
  dirtyBytes(): bigint {
    return dirtyBytes(this.count(), this, { last: this.isDirty(this.bitCount - 1) });
  }

  /** The first dirty bit from `from` on; -1 if there is none. */
  nextDirty(from = 0): number {
    return kernel.nextBit(this.#words, from, this.bitCount, true);
  }

  /** The first clean bit from `from` on; -1 if there is none. */
  nextClean(from = 0): number {
    return kernel.nextBit(this.#words, from, this.bitCount, false);
  }

  /**
   * The dirty extents in ascending order, in batches of bit numbers, clipped to `within`.
   * @throws {QdbError} USAGE for a range outside the disk
   */
  *extents(options: { readonly within?: DiskRange } = {}): Generator<ExtentBatch, void> {
    const within = options.within ?? { offset: 0, length: this.size };
    const { first, end } = bitsOutward(within, this);
    const start = BigInt(within.offset);
    const batch = (runs: Uint32Array): ExtentBatch => new ExtentBatch(this, runs, start, start + BigInt(within.length));
    const collector = new RunCollector();
    for (let bit = first - (first % 32); bit < end; bit += WINDOW_WORDS * 32) {
      const stop = Math.min(end, bit + WINDOW_WORDS * 32);
      let words = this.#words.subarray(bit / 32, kernel.wordsFor(stop));
      if (bit < first || stop % 32 !== 0) {
        words = words.slice();
        kernel.fillBits(words, 0, Math.max(0, first - bit), false);
        kernel.fillBits(words, stop - bit, words.length * 32, false);
      }
      collector.pushWords(words, bit);
      yield* collector.take().map(batch);
    }
    yield* collector.finish(end).map(batch);
  }

  /**
   * Adds the dirty bits of another bitmap (OR). If its granularity differs, its dirty bits are rounded outward.
   * @throws {QdbError} SIZE_MISMATCH for another disk size
   */
  merge(other: Bitmap): void {
    if (other.size !== this.size) throw sizeMismatch(this, other);
    kernel.orWords(this.#words, other.regranulate(this.granularity).#words);
  }

  /** Keeps the bits that are dirty in both (AND). @throws {QdbError} SIZE_MISMATCH for another size or granularity */
  intersect(other: Bitmap): void {
    kernel.andWords(this.#words, sameShape(this, other).#words);
  }

  /** Clears the bits that are dirty in the other (AND NOT). @throws {QdbError} SIZE_MISMATCH for another size or granularity */
  subtract(other: Bitmap): void {
    kernel.andNotWords(this.#words, sameShape(this, other).#words);
  }

  /** Keeps the bits that are dirty in exactly one of the two (XOR). @throws {QdbError} SIZE_MISMATCH for another size or granularity */
  xor(other: Bitmap): void {
    kernel.xorWords(this.#words, sameShape(this, other).#words);
  }

  /** Makes dirty clean and clean dirty. */
  invert(): void {
    kernel.notWords(this.#words);
    this.#clearTail();
  }

  /** Whether size, granularity and every bit are the same. */
  equals(other: Bitmap): boolean {
    if (this === other) return true;
    return (
      this.size === other.size && this.granularity === other.granularity && kernel.equalWords(this.#words, other.#words)
    );
  }

  /** A copy. */
  clone(): Bitmap {
    return new Bitmap(this, this.#words.slice());
  }

  /**
   * A bitmap of another granularity that covers at least the same dirty bytes. Returns this bitmap if it has that granularity.
   * @throws {QdbError} USAGE, LIMIT
   */
  regranulate(granularity: number): Bitmap {
    if (granularity === this.granularity) return this;
    const shape = { size: this.size, granularity };
    const length = kernel.wordsFor(bitsOfShape(shape));
    const steps = Math.abs(Math.log2(granularity / this.granularity));
    const change = granularity > this.granularity ? coarsen : refine;
    return new Bitmap(shape, change(this.#words, steps, length));
  }

  /**
   * A bitmap for a disk of another size. An area that is added is dirty, from the granule that holds the old end on. With
   * `newArea: "clean"` the caller states that no byte there changed since the bitmap began (spec §5, Dirt).
   * @throws {QdbError} USAGE, LIMIT
   */
  resize(size: bigint, options: { readonly newArea?: "dirty" | "clean" } = {}): Bitmap {
    const shape = { size, granularity: this.granularity };
    const words = new Uint32Array(kernel.wordsFor(bitsOfShape(shape)));
    words.set(this.#words.subarray(0, words.length));
    const result = new Bitmap(shape, words);
    if (size > this.size && options.newArea !== "clean") {
      result.markBits({ first: Number(this.size / BigInt(this.granularity)), end: result.bitCount });
    }
    return result;
  }
}

/**
 * Number of bytes of the disk, or of `within`, that dirty bits cover. `ends` says whether the first and the last bit of the range are
 * dirty: their granules are clipped to it.
 */
export function dirtyBytes(
  count: number,
  shape: BitmapShape,
  ends: { readonly first?: boolean; readonly last: boolean },
  within: DiskRange = { offset: 0, length: shape.size },
): bigint {
  const granularity = BigInt(shape.granularity);
  const start = BigInt(within.offset);
  const end = start + BigInt(within.length);
  let bytes = BigInt(count) * granularity;
  if (ends.first === true) bytes -= start % granularity;
  if (ends.last) bytes -= (granularity - (end % granularity)) % granularity;
  return bytes;
}

function sizeMismatch(a: BitmapShape, b: BitmapShape): QdbError {
  return new QdbError(
    "SIZE_MISMATCH",
    `the bitmaps cover disks of ${a.size} and ${b.size} bytes; resize one of them first`,
  );
}

function sameShape(a: Bitmap, b: Bitmap): Bitmap {
  if (a.size !== b.size) throw sizeMismatch(a, b);
  if (a.granularity !== b.granularity) {
    throw new QdbError(
      "SIZE_MISMATCH",
      `the granularities are ${a.granularity} and ${b.granularity}; regranulate one of them first`,
    );
  }
  return b;
}
