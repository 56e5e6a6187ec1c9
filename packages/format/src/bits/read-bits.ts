import { countWords, hasBit } from "../bitmap/bit-bytes.ts";
import { Bitmap } from "../bitmap/bitmap.ts";
import type { ExtentBatch } from "../bitmap/runs.ts";
import { type BitmapShape, type BitRange, type DiskPart, dirtyBytes } from "../bitmap/shape.ts";
import { byteAt, numberAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { type Limits, maxBitmapBytesOf } from "../limits.ts";
import type { Progress } from "../ports/long-call.ts";
import { type Plan, put, read } from "../ports/plan.ts";
import type { ClusterMap } from "./cluster-map.ts";
import { type BitVisitor, show, windows } from "./cluster-windows.ts";
import { Scratch } from "./scratch.ts";
import { ExtentCollector, rangeOf } from "./verified-bits.ts";

/** Options of the plans that read the bits of one bitmap. */
export interface BitOptions {
  /** A range of the disk in bytes. Only bits whose granules overlap the range are read. The default is the whole disk. */
  readonly within?: DiskPart | undefined;
  readonly onProgress?: Progress | undefined;
}

/**
 * Puts out the dirty extents of a bitmap in batches. Each cluster is verified before its first extent is put out. The visitor `also`, if
 * given, receives the bits too.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; USAGE if `within` is not inside the disk
 */
export function* extentsPlan(
  map: ClusterMap,
  options: BitOptions & { readonly also?: BitVisitor | undefined } = {},
): Plan<void, ExtentBatch> {
  const { within, also, onProgress } = options;
  const range = rangeOf(map, within);
  const { shape } = map;
  const collector = new ExtentCollector(within);
  for (const window of windows(map, range)) {
    for (const piece of window.bits(yield* read(window.ranges))) {
      if (also !== undefined) show(piece, also);
      for (const batch of collector.collect(piece, shape)) yield* put(batch);
    }
    onProgress?.(window.endBit - range.first, range.end - range.first);
  }
  for (const batch of collector.finish(range, shape)) yield* put(batch);
}

/** How much of a bitmap is dirty. */
export interface DirtyCount {
  /** Number of dirty bits. */
  readonly bits: number;
  /** Number of dirty bytes of the disk. The last bit can stand for fewer bytes than the others. */
  readonly bytes: bigint;
}

/** Flags of a counted range: FIRST is set if its first bit is dirty, LAST if its last bit is dirty. */
const FIRST = 1;
const LAST = 2;

/**
 * The numbers of dirty bits of the bitmaps of a file. Each bitmap takes only nine bytes, a number and a byte of flags, since a file can have
 * 65,535 bitmaps.
 */
export class Counts {
  readonly #bits: Float64Array;
  readonly #ends: Uint8Array;

  constructor(bitmaps: number) {
    this.#bits = new Float64Array(bitmaps);
    this.#ends = new Uint8Array(bitmaps);
  }

  /** Returns a visitor that counts the dirty bits of `range`, a range of the bitmap of index `at`. */
  visitor(at: number, range: BitRange): BitVisitor {
    const last = range.end - 1;
    const add = (bits: number, ends: number): void => {
      this.#bits[at] = numberAt(this.#bits, at) + bits;
      this.#ends[at] = byteAt(this.#ends, at) | ends;
    };
    return {
      pushWords: (words, base) => {
        const ends = (hasBit(words, range.first - base) ? FIRST : 0) | (hasBit(words, last - base) ? LAST : 0);
        add(countWords(words), ends);
      },
      pushDirty: ({ first, end }) => add(end - first, (first <= range.first ? FIRST : 0) | (end > last ? LAST : 0)),
      pushClean: () => undefined,
    };
  }

  /** Returns the count for the bitmap of index `at`. `within` is the range of the disk that was counted; absent if all of the disk was. */
  total(shape: BitmapShape, at: number, within?: DiskPart): DirtyCount {
    const bits = numberAt(this.#bits, at);
    const ends = byteAt(this.#ends, at);
    const bytes = dirtyBytes(bits, shape, { first: (ends & FIRST) !== 0, last: (ends & LAST) !== 0 }, within);
    return { bits, bytes };
  }
}

/**
 * Counts the dirty bits of a bitmap. With `within`, counts only bits whose granules overlap that range.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; USAGE if `within` is not inside the disk
 */
export function* countPlan(map: ClusterMap, options: BitOptions = {}): Plan<DirtyCount> {
  const counts = new Counts(1);
  yield* visitBits(map, counts.visitor(0, rangeOf(map, options.within)), options);
  return counts.total(map.shape, 0, options.within);
}

/** Shows the bits of a bitmap to a visitor, which keeps no words, as {@link countPlan} counts them. @throws {QdbError} as {@link countPlan} */
export function* visitBits(map: ClusterMap, visitor: BitVisitor, { within, onProgress }: BitOptions): Plan<void> {
  const range = rangeOf(map, within);
  const scratch = new Scratch();
  for (const window of windows(map, range)) {
    window.visit(yield* read(scratch.ranges(window.ranges)), visitor);
    onProgress?.(window.endBit - range.first, range.end - range.first);
  }
}

/** When a whole bitmap is loaded, a round reads stored clusters until they have this many bytes. */
const LOAD_WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * Reads a whole bitmap into memory.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; LIMIT if the bits take more than `maxBitmapBytes`
 */
export function* bitmapPlan(map: ClusterMap, options: Pick<BitOptions, "onProgress"> & Limits = {}): Plan<Bitmap> {
  requireFits(map.bitCount, map.label, options);
  const bitmap = Bitmap.clean(map.shape);
  const visitor: BitVisitor = {
    pushWords: (words, base) => bitmap.mergeWordsAt(base, words),
    pushDirty: (range) => bitmap.markBits(range),
    pushClean: () => undefined,
  };
  const scratch = new Scratch();
  for (const window of windows(map, { first: 0, end: map.bitCount }, LOAD_WINDOW_BYTES)) {
    window.visit(yield* read(scratch.ranges(window.ranges)), visitor);
    options.onProgress?.(window.endBit, map.bitCount);
  }
  return bitmap;
}

/** Refuses to hold more bits in memory than the caller allows. @throws {QdbError} LIMIT */
export function requireFits(bitCount: number, bitmap: string, limits: Limits): void {
  const limit = maxBitmapBytesOf(limits);
  const needed = Math.ceil(bitCount / 8);
  if (needed <= limit) return;
  throw new QdbError(
    "LIMIT",
    `the bitmap takes ${needed} bytes in memory, at most ${limit} are allowed; raise maxBitmapBytes`,
    { bitmap },
  );
}
