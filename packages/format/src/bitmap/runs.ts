import { wordAt } from "../elements.ts";
import type { BitmapShape, BitRange } from "./shape.ts";

/** Most runs in one batch. */
const BATCH_RUNS = 8192;

/**
 * Dirty runs in ascending order, no two of them adjacent, as bit numbers in one typed array: the first and the last bit of each run
 * in turn, both inclusive, so that bit 2^32-1 fits.
 */
export class ExtentBatch {
  readonly shape: BitmapShape;
  /** `[first, last, first, last, …]` in bits, both inclusive; `2 * count` numbers. */
  readonly runs: Uint32Array;
  /** The part of the disk to which the byte iterators clip, `[start, end)` in bytes. */
  readonly #start: bigint;
  readonly #end: bigint;

  constructor(shape: BitmapShape, runs: Uint32Array, start: bigint = 0n, end: bigint = shape.size) {
    this.shape = shape;
    this.runs = runs;
    this.#start = start;
    this.#end = end;
  }

  /** Number of runs. */
  get count(): number {
    return this.runs.length / 2;
  }

  /**
   * The runs as ranges of the disk in bytes, clipped to the disk and to the range that was asked for.
   * @throws {RangeError} if the disk ends past 2^53, where numbers would be rounded: use {@link rangesBig}
   */
  *ranges(): Generator<{ readonly offset: number; readonly length: number }, void> {
    if (this.#end > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new RangeError("offsets past 2^53 do not fit a number: use rangesBig()");
    }
    const { granularity } = this.shape;
    const start = Number(this.#start);
    const end = Number(this.#end);
    for (let index = 0; index < this.runs.length; index += 2) {
      const offset = Math.max(start, wordAt(this.runs, index) * granularity);
      yield { offset, length: Math.min(end, (wordAt(this.runs, index + 1) + 1) * granularity) - offset };
    }
  }

  /** The same as bigints, exact at any size. */
  *rangesBig(): Generator<{ readonly offset: bigint; readonly length: bigint }, void> {
    const granularity = BigInt(this.shape.granularity);
    for (let index = 0; index < this.runs.length; index += 2) {
      const first = BigInt(wordAt(this.runs, index)) * granularity;
      const end = (BigInt(wordAt(this.runs, index + 1)) + 1n) * granularity;
      const offset = first > this.#start ? first : this.#start;
      yield { offset, length: (end < this.#end ? end : this.#end) - offset };
    }
  }
}

/** Joins dirty bits, which arrive in ascending order, into runs, and hands the runs out in batches. */
export class RunCollector {
  readonly #full: Uint32Array[] = [];
  /** Starts small and grows: in a file of many bitmaps most have few runs. */
  #runs: Uint32Array<ArrayBuffer> = new Uint32Array(64);
  #used = 0;
  /** First bit of the run that is still open; -1 if none is. */
  #open = -1;

  /** Takes the bits from `base` on as words. They must follow directly on those taken before. */
  pushWords(words: Uint32Array, base: number): void {
    let open = this.#open;
    let bit = base;
    for (let index = 0; index < words.length; index++, bit += 32) {
      const word = wordAt(words, index);
      if (word === 0 && open < 0) continue;
      if (word === 0xffffffff && open >= 0) continue;
      // A bit of `edges` is set where the value changes.
      let edges = word ^ ((word << 1) | (open >= 0 ? 1 : 0));
      while (edges !== 0) {
        const edge = bit + 31 - Math.clz32(edges & -edges);
        edges &= edges - 1;
        if (open < 0) {
          open = edge;
        } else {
          this.#emit(open, edge - 1);
          open = -1;
        }
      }
    }
    this.#open = open;
  }

  /** Takes bits that are all dirty. */
  pushDirty({ first }: BitRange): void {
    if (this.#open < 0) this.#open = first;
  }

  /** Takes bits that are all clean, from `first` on. */
  pushClean(first: number): void {
    if (this.#open < 0) return;
    this.#emit(this.#open, first - 1);
    this.#open = -1;
  }

  #emit(first: number, last: number): void {
    this.#runs[this.#used] = first;
    this.#runs[this.#used + 1] = last;
    this.#used += 2;
    if (this.#used < this.#runs.length) return;
    if (this.#runs.length < 2 * BATCH_RUNS) {
      const grown = new Uint32Array(4 * this.#runs.length);
      grown.set(this.#runs);
      this.#runs = grown;
      return;
    }
    this.#full.push(this.#runs);
    this.#runs = new Uint32Array(2 * BATCH_RUNS);
    this.#used = 0;
  }

  /** Returns the batches that are full, and forgets them. */
  take(): Uint32Array[] {
    return this.#full.splice(0);
  }

  /** Ends the last run at `end` and returns all batches that are left. */
  finish(end: number): Uint32Array[] {
    this.pushClean(end);
    const rest = this.take();
    if (this.#used > 0) rest.push(this.#runs.slice(0, this.#used));
    this.#used = 0;
    return rest;
  }
}
