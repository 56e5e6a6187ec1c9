/// <reference lib="esnext.disposable" preserve="true" />
import { QdbError } from "../errors.ts";
import { bitNumber, exactInteger, wholeNumber } from "../integers.ts";
import { outsideSlots } from "../kernels/slots.ts";
import { type Combination, isRoundedInward, requireCombinable } from "./combination.ts";
import { GranularityChange } from "./granularity-change.ts";
import type { Page, PageKind } from "./page.ts";
import { PagedBits } from "./paged-bits.ts";
import { MAX_PAGE_STEPS } from "./regranulated-pages.ts";
import { ExtentBatch, runsOf } from "./runs.ts";
import {
  type BitmapShape,
  type BitRange,
  bitsInward,
  bitsOfShape,
  bitsOutward,
  type DiskPart,
  type DiskRange,
  dirtyBytes,
  type Extent,
  rangeOfPart,
  type ShapeInput,
} from "./shape.ts";
import * as kernel from "./words.ts";

/**
 * A dirty bitmap in memory, which says which granules of a disk have changed. Ranges are in bytes of the disk unless a name says bits.
 * Marking dirty rounds outward, marking clean rounds inward, so that no dirty bit is lost (spec §5, Dirt).
 */
export class Bitmap implements BitmapShape {
  readonly size: bigint;
  readonly granularity: number;
  /** Number of bits, ceil(size / granularity), 0..2^32. */
  readonly bitCount: number;
  /** The bits; undefined once they are freed. */
  #held: PagedBits | undefined;

  private constructor(shape: ShapeInput, bitsOf: (bitCount: number) => PagedBits) {
    this.size = exactInteger(shape.size, "size");
    this.granularity = shape.granularity;
    this.bitCount = bitsOfShape(shape);
    this.#held = bitsOf(this.bitCount);
  }

  /** Returns the bits. A method, not an accessor: V8 looks up a private accessor anew at each call. @throws {QdbError} USAGE if the bitmap is freed */
  #bits(): PagedBits {
    if (this.#held === undefined) throw new QdbError("USAGE", "the bitmap was used after free()");
    return this.#held;
  }

  /** Makes a bitmap with all bits clean. @throws {QdbError} USAGE, LIMIT if the format does not allow the shape (see `bitsOfShape`) */
  static clean(shape: ShapeInput): Bitmap {
    return new Bitmap(shape, (bitCount) => PagedBits.uniform(bitCount, "zeros"));
  }

  /** Makes a bitmap with all bits dirty. @throws {QdbError} USAGE, LIMIT if the format does not allow the shape (see `bitsOfShape`) */
  static dirty(shape: ShapeInput): Bitmap {
    return new Bitmap(shape, (bitCount) => PagedBits.uniform(bitCount, "ones"));
  }

  /**
   * Makes a bitmap from its bits, in ceil(bitCount / 8) bytes, the least significant bit first (spec §1). Bits past the last one are
   * ignored.
   * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape (see `bitsOfShape`); SIZE_MISMATCH for any other number of bytes
   */
  static fromBytes(bytes: Uint8Array, shape: ShapeInput): Bitmap {
    const needed = Math.ceil(bitsOfShape(shape) / 8);
    if (bytes.length !== needed) {
      throw new QdbError(
        "SIZE_MISMATCH",
        `${bytes.length} bytes of bits given, ${shape.size} bytes at granularity ${shape.granularity} need ${needed}`,
      );
    }
    return new Bitmap(shape, (bitCount) =>
      PagedBits.from(bitCount, ({ first, end }) => kernel.viewAsWords(bytes.subarray(first / 8, Math.ceil(end / 8)))),
    );
  }

  /** Returns a copy of the bits, in ceil(bitCount / 8) bytes, the least significant bit first. */
  toBytes(): Uint8Array {
    return this.bytesAt(0, Math.ceil(this.bitCount / 8));
  }

  /** Returns a copy of the bytes [start, start + length) of the bits, as `toBytes` has them. Past the last bit they are zero. @throws {QdbError} USAGE if a value is no whole number */
  bytesAt(start: number, length: number): Uint8Array {
    return this.#bits().bytes(wholeNumber(start, "start"), wholeNumber(length, "length"));
  }

  /**
   * Returns the same bytes as `bytesAt`, for reading only, valid until the bitmap changes or is freed. They are a view of the bits if these are in an
   * array and the byte order of the machine allows one, otherwise a copy.
   */
  viewAt(start: number, length: number): Uint8Array {
    return outsideSlots(this.#bits().view(wholeNumber(start, "start"), wholeNumber(length, "length")));
  }

  /** Calls a function with the bytes of {@link viewAt}, which are valid during the call if no bits are made in it. Nothing is copied. @internal */
  withView<T>(start: number, length: number, use: (bytes: Uint8Array) => T): T {
    return use(this.#bits().view(start, length));
  }

  /**
   * Merges words of bits into the bitmap (OR), from bit `base` on, which is a multiple of 32. Bits past the last one are ignored. It serves
   * to fill a bitmap part by part.
   */
  mergeWordsAt(base: number, words: Uint32Array): void {
    if (wholeNumber(base, "base") % 32 !== 0)
      throw new QdbError("USAGE", `base ${base} is no multiple of 32`, { field: "base" });
    this.#bits().mergeWords(base, words);
  }

  /** Returns whether a range of bits is all clean ("zeros"), all dirty ("ones"), or neither. @internal */
  kindOf(range: BitRange): PageKind {
    return this.#bits().kindOf(range);
  }

  /** Returns a range of bits, the first of them as bit 0, for reading only, valid until the bitmap changes. @internal */
  pageAt(range: BitRange): Page {
    const page = this.#bits().pageAt(range);
    return typeof page === "string" ? page : outsideSlots(page);
  }

  /** Whether a bit is dirty. False if the bitmap has no such bit. @throws {QdbError} USAGE if `bit` is no integer */
  isDirty(bit: number): boolean {
    bitNumber(bit, "bit");
    const bits = this.#bits();
    return bit >= 0 && bit < this.bitCount && bits.isDirty(bit);
  }

  /** Marks every bit dirty whose granule overlaps a range. @throws {QdbError} USAGE if the range is not inside the disk */
  mark(range: DiskRange): void {
    this.markBits(bitsOutward(range, this));
  }

  /** Marks every bit clean whose whole granule is inside a range. @throws {QdbError} USAGE if the range is not inside the disk */
  unmark(range: DiskRange): void {
    this.#bits().fill(bitsInward(range, this), "zeros");
  }

  /** Marks bits dirty. @throws {QdbError} USAGE if the bitmap does not have all of them */
  markBits({ first, end }: BitRange): void {
    if (Number.isInteger(first) && first >= 0 && first < this.bitCount && end === first + 1) {
      this.#bits().mark(first);
      return;
    }
    const isInside = bitNumber(first, "first") >= 0 && first <= bitNumber(end, "end") && end <= this.bitCount;
    if (!isInside) throw new QdbError("USAGE", `bits ${first} to ${end} are not inside the bitmap's ${this.bitCount}`);
    this.#bits().fill({ first, end }, "ones");
  }

  /** Returns the number of dirty bits. */
  count(): number {
    return this.#bits().count();
  }

  /** Returns the number of dirty bytes of the disk. The last granule is clipped to the end of the disk. */
  dirtyBytes(): bigint {
    return dirtyBytes(this.count(), this, { last: this.isDirty(this.bitCount - 1) });
  }

  /** Returns the first dirty bit from bit `first` on; -1 if there is none. @throws {QdbError} USAGE if `first` is no integer */
  nextDirty(first = 0): number {
    return this.#bits().next(bitNumber(first, "first"), true);
  }

  /** Returns the first clean bit from bit `first` on; -1 if there is none. @throws {QdbError} USAGE if `first` is no integer */
  nextClean(first = 0): number {
    return this.#bits().next(bitNumber(first, "first"), false);
  }

  /**
   * Yields the dirty extents in ascending order, no two of them adjacent. With `within`, they are clipped to that range of the disk. Offset
   * and length are bigints, for which `JSON.stringify` throws: convert them by `String`, or by `Number` if the disk is shorter than 2^53
   * bytes. {@link batches} has them as numbers too.
   * @throws {QdbError} USAGE if `within` is not inside the disk
   */
  *extents(options: { readonly within?: DiskPart | undefined } = {}): Generator<Extent, void> {
    for (const batch of this.batches(options)) yield* batch.rangesBig();
  }

  /** Yields the same extents as {@link extents}, in batches of typed arrays, which is faster. @throws {QdbError} as {@link extents} */
  *batches(options: { readonly within?: DiskPart | undefined } = {}): Generator<ExtentBatch, void> {
    const within = rangeOfPart(options.within ?? { offset: 0 }, this);
    const { first, end } = bitsOutward(within, this);
    const start = BigInt(within.offset);
    const stop = start + BigInt(within.length);
    for (const runs of runsOf(() => this.#bits(), { first, end })) yield new ExtentBatch(this, runs, start, stop);
  }

  /**
   * Adds the dirty bits of another bitmap (OR). If the other bitmap has a different granularity, its dirty bits are rounded outward.
   * @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ
   */
  merge(other: Bitmap): void {
    this.#combine("merge", other);
  }

  /** Keeps the bits dirty that are dirty in both bitmaps (AND). The other one is rounded outward, as in {@link merge}. @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ */
  intersect(other: Bitmap): void {
    this.#combine("intersect", other);
  }

  /** Clears the bits that are dirty in the other bitmap (AND NOT). If that has another granularity, it is rounded inward: a bit becomes clean only if all of its granule is dirty in it. @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ */
  subtract(other: Bitmap): void {
    this.#combine("subtract", other);
  }

  /**
   * Makes the bits dirty that are dirty in exactly one of the bitmaps (XOR).
   * @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ; USAGE if the granularities differ, since rounding in either direction would lose dirty bits
   */
  xor(other: Bitmap): void {
    this.#combine("xor", other);
  }

  #combine(how: Combination, other: Bitmap): void {
    requireCombinable(how, this, other);
    const { granularity } = this;
    this.#bits().combine(
      how,
      granularity === other.granularity ? other.#bits() : other.#at(granularity, isRoundedInward(how)),
    );
  }

  /** Makes every dirty bit clean and every clean bit dirty. */
  invert(): void {
    this.#bits().invert();
  }

  /** Whether the other bitmap has the same size, the same granularity and the same bits. */
  equals(other: Bitmap): boolean {
    if (this.size !== other.size || this.granularity !== other.granularity) return false;
    return this.#bits().equals(other.#bits());
  }

  /** Whether a bit is dirty here and clean in another bitmap of the same shape. @internal */
  hasDirtOutside(other: Bitmap): boolean {
    return this.#bits().hasDirtOutside(other.#bits());
  }

  /** Returns a copy of the bitmap. It takes no memory until either of the two changes, which copies the bits then. */
  clone(): Bitmap {
    return new Bitmap(this, () => this.#bits().copy());
  }

  /**
   * Gives the memory of the bits back now. Clones of the bitmap keep theirs. Every later call that uses the bits throws USAGE; a second
   * `free` does nothing. Without it, the memory is given back when the bitmap is garbage.
   */
  free(): void {
    this.#held?.free();
    this.#held = undefined;
  }

  /** Does what {@link free} does, at the end of the block of a `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  /**
   * Returns a bitmap of another granularity in which every byte that is dirty in this bitmap is dirty too. Returns this bitmap itself if it
   * has the granularity already.
   * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape (see `bitsOfShape`)
   */
  regranulate(granularity: number): Bitmap {
    const bits = this.#bits();
    if (granularity === this.granularity) return this;
    const pageOf = this.#at(granularity, false);
    const steps = Math.log2(granularity / this.granularity);
    return new Bitmap({ size: this.size, granularity }, (bitCount) =>
      Math.abs(steps) > MAX_PAGE_STEPS ? PagedBits.from(bitCount, pageOf) : bits.regranulated(bitCount, steps),
    );
  }

  /** Returns a function that gives the page of a range of bits at a granularity, rounded outward or inward. @throws {QdbError} as {@link regranulate} */
  #at(granularity: number, inward: boolean): (range: BitRange) => Page {
    const bits = this.#bits();
    const change = new GranularityChange(this, granularity, inward);
    return (range) => change.convert(bits.pageAt(change.sourceOf(range)), range);
  }

  /**
   * Returns a bitmap for a disk of another size. If the disk grows, the bits from the granule that holds the old end on are dirty. With
   * `newArea: "clean"` the added bits are clean: the caller states that no byte there has changed since the bitmap began (spec §5, Dirt).
   * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape (see `bitsOfShape`)
   */
  resize(size: number | bigint, options: { readonly newArea?: "dirty" | "clean" | undefined } = {}): Bitmap {
    const shape = { size: exactInteger(size, "size"), granularity: this.granularity };
    const result = new Bitmap(shape, (bitCount) => this.#bits().resized(bitCount));
    if (result.size > this.size && options.newArea !== "clean") {
      result.markBits({ first: Number(this.size / BigInt(this.granularity)), end: result.bitCount });
    }
    return result;
  }
}
