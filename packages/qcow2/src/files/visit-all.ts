import { type DirtyCount, isQdbError, type Problem } from "@qdb/format";
import type { BitOptions, Plan } from "@qdb/format/container";
import { type BitVisitor, Counts, visitBits } from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import type { Qcow2Index } from "../bitmaps/qcow2-index.ts";

/** Options of a plan that reads the bits of all bitmaps. */
export type AllBitsOptions = Pick<BitOptions, "onProgress">;

/** The bitmaps of an image after all of their bits were read. */
export class ReadBitmaps {
  readonly bitmaps: readonly Qcow2Bitmap[];
  /** The problem of each bitmap whose data cannot be read, by the index of the bitmap. */
  readonly #unread: ReadonlyMap<number, Problem>;

  /** @internal */
  constructor(bitmaps: readonly Qcow2Bitmap[], unread: ReadonlyMap<number, Problem>) {
    this.bitmaps = bitmaps;
    this.#unread = unread;
  }

  /** Returns the first problem of a bitmap, IO and SHORT_READ of its data included; undefined if its bits can be used. */
  problemOf(bitmap: Qcow2Bitmap): Problem | undefined {
    return bitmap.problem ?? this.#unread.get(bitmap.index);
  }
}

/**
 * Shows the bits of every bitmap to a visitor of its own, bitmap by bitmap in the order of the directory. A bitmap that cannot be used is
 * left out. If the data of a bitmap cannot be read, its visitor receives no more of its bits, and the other bitmaps are still read.
 */
export function* visitAllBits(
  { bitmaps }: Qcow2Index,
  visitorOf: (bitmap: Qcow2Bitmap) => BitVisitor,
  { onProgress }: AllBitsOptions = {},
): Plan<ReadBitmaps> {
  const unread = new Map<number, Problem>();
  const total = bitmaps.reduce((sum, { problem, bitCount }) => (problem === undefined ? sum + bitCount : sum), 0);
  let done = 0;
  for (const bitmap of bitmaps) {
    if (bitmap.problem !== undefined) continue;
    const before = done;
    try {
      yield* visitBits(bitmap.map(), visitorOf(bitmap), { onProgress: (bits) => onProgress?.(before + bits, total) });
    } catch (error) {
      if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
      unread.set(bitmap.index, unreadProblem(bitmap, error));
    }
    done += bitmap.bitCount;
  }
  return new ReadBitmaps(bitmaps, unread);
}

/** Returns the problem of a bitmap whose data cannot be read. */
export function unreadProblem({ label }: Qcow2Bitmap, { code, message, where }: Problem): Problem {
  const place = { ...where, structure: "data cluster", bitmap: label };
  return { code, message: `the data cluster cannot be read: ${message}`, where: place };
}

/** The bitmaps of an image with the numbers of their dirty bits. */
export class CountedBitmaps {
  readonly #read: ReadBitmaps;
  readonly #counts: Counts;

  /** @internal */
  constructor(read: ReadBitmaps, counts: Counts) {
    this.#read = read;
    this.#counts = counts;
  }

  /** The bitmaps in the order of the directory. */
  get bitmaps(): readonly Qcow2Bitmap[] {
    return this.#read.bitmaps;
  }

  /** As {@link ReadBitmaps.problemOf}. */
  problemOf(bitmap: Qcow2Bitmap): Problem | undefined {
    return this.#read.problemOf(bitmap);
  }

  /** Returns how much of a bitmap is dirty; undefined if its bits cannot be used. */
  dirtyOf(bitmap: Qcow2Bitmap): DirtyCount | undefined {
    return this.problemOf(bitmap) === undefined ? this.#counts.total(bitmap.shape, bitmap.index) : undefined;
  }
}

/** Counts the dirty bits of every bitmap of an image. Each byte of their data is read once. */
export function* countQcow2Bitmaps(index: Qcow2Index, options: AllBitsOptions = {}): Plan<CountedBitmaps> {
  const counts = new Counts(index.bitmaps.length);
  const visitorOf = ({ index: at, bitCount }: Qcow2Bitmap): BitVisitor =>
    counts.visitor(at, { first: 0, end: bitCount });
  return new CountedBitmaps(yield* visitAllBits(index, visitorOf, options), counts);
}
