import { wordAt } from "../elements.ts";
import { exactInteger } from "../integers.ts";
import { kernels, MIN_WORDS } from "../kernels/kernels.ts";
import type { BitmapShape, BitRange, Extent } from "./shape.ts";

/** Maximum number of runs in one batch. */
const BATCH_RUNS = 8192;
/** Number of words that are searched for runs between two looks at whether a batch is full. They have eight batches at most. */
export const STEP_WORDS = 4096;

/**
 * A batch of runs of dirty bits, in ascending order, no two of them adjacent. One typed array has the first and the last bit of each run in
 * turn. The last bit is inclusive, since an exclusive end of 2^32 would not fit.
 */
export class ExtentBatch {
  readonly shape: BitmapShape;
  /** `[first, last, first, last, …]` in bits, both inclusive; `2 * count` numbers. */
  readonly runs: Uint32Array;
  /** The range of the disk to which `ranges` and `rangesBig` clip the runs: `[start, end)` in bytes. */
  readonly #start: bigint;
  readonly #end: bigint;

  /** @throws {QdbError} USAGE for a start or an end that is no whole number */
  constructor(shape: BitmapShape, runs: Uint32Array, start: number | bigint = 0n, end: number | bigint = shape.size) {
    this.shape = shape;
    this.runs = runs;
    this.#start = exactInteger(start, "start");
    this.#end = exactInteger(end, "end");
  }

  /** Number of runs. */
  get count(): number {
    return this.runs.length / 2;
  }

  /**
   * Yields the runs as ranges of the disk in bytes, clipped to the disk and to the range that the caller asked for.
   * @throws {RangeError} if that range ends past 2^53, where numbers would be rounded; use {@link rangesBig} then
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

  /** Yields the same ranges as {@link ranges}, but as bigints, which are exact for a disk of any size. */
  *rangesBig(): Generator<Extent, void> {
    const granularity = BigInt(this.shape.granularity);
    for (let index = 0; index < this.runs.length; index += 2) {
      const first = BigInt(wordAt(this.runs, index)) * granularity;
      const end = (BigInt(wordAt(this.runs, index + 1)) + 1n) * granularity;
      const offset = first > this.#start ? first : this.#start;
      yield { offset, length: (end < this.#end ? end : this.#end) - offset };
    }
  }
}

/**
 * Collects bits, which must arrive in ascending order, into runs of dirty bits, and hands the runs out in batches: by {@link take}, or to a
 * function, which must not keep them, since their place is used again.
 */
export class RunCollector {
  readonly #use: ((runs: Uint32Array) => void) | undefined;
  readonly #full: Uint32Array[] = [];
  /** The batch that is being filled. It starts small and grows, since most bitmaps of a file with many have few runs. */
  #runs: Uint32Array<ArrayBuffer> = new Uint32Array(64);
  #used = 0;
  /** First bit of the run that has not ended yet; -1 if there is none. */
  #open = -1;

  constructor(use?: (runs: Uint32Array) => void) {
    this.#use = use;
  }

  /** Receives bits as words, from bit `base` on. They must follow the bits received before without a gap. */
  pushWords(words: Uint32Array, base: number): void {
    const fast = words.length < MIN_WORDS ? undefined : kernels();
    if (fast === undefined) this.#findEdges(words, base);
    else fast.edges(words, base, this.#open >= 0, (edges) => this.#pushEdges(edges));
  }

  /** Receives the first bit and the last bit of runs, in turn. If a run is open, its last bit comes first. */
  #pushEdges(edges: Uint32Array): void {
    let at = 0;
    if (this.#open >= 0 && edges.length > 0) {
      this.#emit(this.#open, wordAt(edges, 0));
      this.#open = -1;
      at = 1;
    }
    const end = edges.length - ((edges.length - at) % 2);
    while (at < end) {
      const count = Math.min(end - at, this.#runs.length - this.#used);
      this.#runs.set(edges.subarray(at, at + count), this.#used);
      this.#used += count;
      at += count;
      this.#makeRoom();
    }
    if (end < edges.length) this.#open = wordAt(edges, end);
  }

  #findEdges(words: Uint32Array, base: number): void {
    let open = this.#open;
    let bit = base;
    for (let index = 0; index < words.length; index++, bit += 32) {
      const word = wordAt(words, index);
      if (word === 0 && open < 0) continue;
      if (word === 0xffffffff && open >= 0) continue;
      // A bit of `edges` is set if it differs from the bit before it.
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

  /** Receives bits that are all dirty. */
  pushDirty({ first }: BitRange): void {
    if (this.#open < 0) this.#open = first;
  }

  /** Receives bits that are all clean, from `first` on. */
  pushClean(first: number): void {
    if (this.#open < 0) return;
    this.#emit(this.#open, first - 1);
    this.#open = -1;
  }

  #emit(first: number, last: number): void {
    this.#runs[this.#used] = first;
    this.#runs[this.#used + 1] = last;
    this.#used += 2;
    this.#makeRoom();
  }

  #makeRoom(): void {
    if (this.#used < this.#runs.length) return;
    if (this.#runs.length < 2 * BATCH_RUNS) {
      const grown = new Uint32Array(4 * this.#runs.length);
      grown.set(this.#runs);
      this.#runs = grown;
      return;
    }
    if (this.#use === undefined) {
      this.#full.push(this.#runs);
      this.#runs = new Uint32Array(2 * BATCH_RUNS);
    } else {
      this.#use(this.#runs);
    }
    this.#used = 0;
  }

  /**
   * Receives the same as `pushWords`, and yields each batch as soon as it is full: who needs the first extents only does not wait for those
   * of all words.
   */
  *collect(words: Uint32Array, base: number): Generator<Uint32Array, void> {
    for (let at = 0; at < words.length; at += STEP_WORDS) {
      this.pushWords(words.subarray(at, at + STEP_WORDS), base + at * 32);
      if (this.#full.length > 0) yield* this.take();
    }
  }

  /** Returns the full batches and removes them from the collector. */
  take(): Uint32Array[] {
    return this.#full.splice(0);
  }

  /** Ends the last run at bit `end`, which is exclusive, and returns all remaining batches. */
  finish(end: number): Uint32Array[] {
    this.pushClean(end);
    const rest = this.take();
    if (this.#used > 0) rest.push(this.#runs.slice(0, this.#used));
    this.#used = 0;
    return rest;
  }
}

/** Bits in memory that show a part of a range to a collector, and return the number of the bit after that part. */
export interface RunSource {
  collectRuns(collector: RunCollector, range: BitRange): number;
}

/**
 * Yields the runs of dirty bits in a range of bits in memory, in batches for {@link ExtentBatch}. `bits` returns the bits each time, or throws:
 * they can change, or be freed, between two batches.
 */
export function* runsOf(bits: () => RunSource, { first, end }: BitRange): Generator<Uint32Array, void> {
  const collector = new RunCollector();
  for (let bit = first; bit < end; ) {
    bit = bits().collectRuns(collector, { first: bit, end });
    yield* collector.take();
  }
  yield* collector.finish(end);
}
