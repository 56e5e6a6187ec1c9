import { Bitmap, dirtyBytes } from "../bitmap/bitmap.ts";
import { ExtentBatch, RunCollector } from "../bitmap/runs.ts";
import { type BitmapShape, type BitRange, bitsOutward, type DiskRange } from "../bitmap/shape.ts";
import * as kernel from "../bitmap/words.ts";
import { byteAt, numberAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { DEFAULT_MAX_BITMAP_BYTES, type Limits } from "../limits.ts";
import { type Plan, put, read } from "../ports/plan.ts";
import type { ClusterMap } from "./cluster-map.ts";
import { type BitVisitor, windows } from "./cluster-windows.ts";

/** Receives the progress of a long call, in bits of the bitmap, or in bytes where the call works on bytes. */
export type Progress = (done: number, total: number) => void;

/** Options of the plans that read the bits of one bitmap. */
export interface BitOptions {
  /** A range of the disk in bytes: only the bits that it touches are read. */
  readonly within?: DiskRange | undefined;
  readonly onProgress?: Progress | undefined;
}

function rangeOf(map: ClusterMap, within: DiskRange | undefined): BitRange {
  return within === undefined ? { first: 0, end: map.bitCount } : bitsOutward(within, map.shape);
}

/**
 * Puts out the dirty extents of a bitmap in batches. Each cluster is verified before its first extent is put out. The visitor `also`
 * receives the same bits.
 * @throws {QdbError} BAD_CHECKSUM; USAGE for a range outside the disk
 */
export function* extentsPlan(
  map: ClusterMap,
  options: BitOptions & { readonly also?: BitVisitor } = {},
): Plan<void, ExtentBatch> {
  const { within } = options;
  const range = rangeOf(map, within);
  const start = within === undefined ? 0n : BigInt(within.offset);
  const end = within === undefined ? map.shape.size : start + BigInt(within.length);
  const collector = new RunCollector();
  const visitor = options.also === undefined ? collector : both(options.also, collector);
  for (const window of windows(map, range)) {
    for (const _ of window.steps(yield* read(window.ranges), visitor)) {
      for (const runs of collector.take()) yield* put(new ExtentBatch(map.shape, runs, start, end));
    }
    options.onProgress?.(window.endBit - range.first, range.end - range.first);
  }
  for (const runs of collector.finish(range.end)) yield* put(new ExtentBatch(map.shape, runs, start, end));
}

/** A visitor that passes the bits on to two visitors. */
function both(first: BitVisitor, second: BitVisitor): BitVisitor {
  return {
    pushWords: (words, base) => {
      first.pushWords(words, base);
      second.pushWords(words, base);
    },
    pushDirty: (range) => {
      first.pushDirty(range);
      second.pushDirty(range);
    },
    pushClean: (bit) => {
      first.pushClean(bit);
      second.pushClean(bit);
    },
  };
}

/** How much of a bitmap is dirty. */
export interface DirtyCount {
  /** Dirty bits. */
  readonly bits: number;
  /** Dirty bytes of the disk. The last bit can stand for fewer bytes than the others. */
  readonly bytes: bigint;
}

/** Flags: the first, or the last bit of the range is dirty. */
const FIRST = 1;
const LAST = 2;

/** Counts of the dirty bits of bitmaps. Each takes nine bytes, since a file can have 65,535 bitmaps. */
export class Counts {
  readonly #bits: Float64Array;
  readonly #ends: Uint8Array;

  constructor(bitmaps: number) {
    this.#bits = new Float64Array(bitmaps);
    this.#ends = new Uint8Array(bitmaps);
  }

  /** A visitor that counts the bits of a range for the bitmap of index `at`. */
  visitor(at: number, range: BitRange): BitVisitor {
    const last = range.end - 1;
    const add = (bits: number, ends: number): void => {
      this.#bits[at] = numberAt(this.#bits, at) + bits;
      this.#ends[at] = byteAt(this.#ends, at) | ends;
    };
    return {
      pushWords: (words, base) => {
        const isDirty = (bit: number): boolean =>
          bit >= 0 && bit < words.length * 32 && kernel.nextBit(words, bit, bit + 1, true) === bit;
        const ends = (isDirty(range.first - base) ? FIRST : 0) | (isDirty(last - base) ? LAST : 0);
        add(kernel.countBits(words), ends);
      },
      pushDirty: ({ first, end }) => add(end - first, (first <= range.first ? FIRST : 0) | (end > last ? LAST : 0)),
      pushClean: () => undefined,
    };
  }

  /** The count for the bitmap of index `at`. `within` is the range of the disk that was counted, unless all of it was. */
  total(shape: BitmapShape, at: number, within?: DiskRange): DirtyCount {
    const bits = numberAt(this.#bits, at);
    const ends = byteAt(this.#ends, at);
    const bytes = dirtyBytes(bits, shape, { first: (ends & FIRST) !== 0, last: (ends & LAST) !== 0 }, within);
    return { bits, bytes };
  }
}

/** Counts the dirty bits of a bitmap, or of those that a range touches. @throws {QdbError} BAD_CHECKSUM; USAGE for a range outside the disk */
export function* countPlan(map: ClusterMap, options: BitOptions = {}): Plan<DirtyCount> {
  const range = rangeOf(map, options.within);
  const counts = new Counts(1);
  const visitor = counts.visitor(0, range);
  for (const window of windows(map, range)) {
    window.visit(yield* read(window.ranges), visitor);
    options.onProgress?.(window.endBit - range.first, range.end - range.first);
  }
  return counts.total(map.shape, 0, options.within);
}

/** Most bytes of stored clusters that one round reads when a whole bitmap is loaded. */
const LOAD_WINDOW_BYTES = 16 * 1024 * 1024;

/** Reads a whole bitmap into memory. @throws {QdbError} BAD_CHECKSUM; LIMIT when its bits take more than `maxBitmapBytes` */
export function* bitmapPlan(map: ClusterMap, options: Pick<BitOptions, "onProgress"> & Limits = {}): Plan<Bitmap> {
  const most = options.maxBitmapBytes ?? DEFAULT_MAX_BITMAP_BYTES;
  const needed = Math.ceil(map.bitCount / 8);
  if (needed > most) {
    throw new QdbError(
      "LIMIT",
      `the bitmap takes ${needed} bytes in memory, at most ${most} are allowed; raise maxBitmapBytes`,
      { bitmap: map.label },
    );
  }
  const bitmap = Bitmap.clean(map.shape);
  const visitor: BitVisitor = {
    pushWords: (words, base) => bitmap.mergeWordsAt(base, words),
    pushDirty: (range) => bitmap.markBits(range),
    pushClean: () => undefined,
  };
  for (const window of windows(map, { first: 0, end: map.bitCount }, LOAD_WINDOW_BYTES)) {
    window.visit(yield* read(window.ranges), visitor);
    options.onProgress?.(window.endBit, map.bitCount);
  }
  return bitmap;
}
