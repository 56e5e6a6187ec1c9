import { numberAt } from "../elements.ts";
import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import type { ByteRange } from "../ports/source.ts";

/** Free runs of whole 4096-byte blocks, ascending. The last one has no end. */
export interface FreeRuns {
  /** File offsets in bytes. */
  readonly starts: Float64Array;
  /** File offsets in bytes, behind the last byte of a run; Infinity for the last run. */
  readonly ends: Float64Array;
  /** Bytes in used blocks, from the offset on from which the runs were asked for. */
  readonly used: number;
}

/** A list of numbers that grows. */
class NumberList {
  #numbers = new Float64Array(64);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#numbers.length) {
      const longer = new Float64Array(2 * this.#length);
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers[this.#length++] = value;
  }

  /** The numbers pushed so far: a view, valid until the next push. */
  view(): Float64Array {
    return this.#numbers.subarray(0, this.#length);
  }
}

/**
 * The used parts of a file: many single clusters and few runs of other lengths. Plain numbers, because the L1 areas of a hostile file
 * name millions of clusters.
 */
export class UsedSpace {
  readonly #clusterSize: number;
  readonly #clusters = new NumberList();
  readonly #starts = new NumberList();
  readonly #ends = new NumberList();

  /** `clusterSize` in bytes: the length of most runs. */
  constructor(clusterSize: number) {
    this.#clusterSize = clusterSize;
  }

  /** Marks a run of bytes as used. Runs may overlap and come in any order. */
  add({ offset, length }: ByteRange): void {
    if (length === this.#clusterSize) {
      this.#clusters.push(offset);
    } else if (length > 0) {
      this.#starts.push(offset);
      this.#ends.push(offset + length);
    }
  }

  /** The largest end of a run that is not past the end of a file of `fileSize` bytes; 0 if there is none. */
  lastEndWithin(fileSize: number): number {
    let last = 0;
    const look = (end: number): void => {
      if (end > last && end <= fileSize) last = end;
    };
    for (const offset of this.#clusters.view()) look(offset + this.#clusterSize);
    for (const end of this.#ends.view()) look(end);
    return last;
  }

  /** The free runs from a file offset on, which is a multiple of 4096. */
  freeFrom(from: number): FreeRuns {
    // Twice over the same: first to count the gaps, then to list them in arrays of that length.
    let count = 0;
    this.#forEachGap(from, () => count++);
    const starts = new Float64Array(count);
    const ends = new Float64Array(count);
    let at = 0;
    const used = this.#forEachGap(from, (start, end) => {
      starts[at] = start;
      ends[at++] = end;
    });
    return { starts, ends, used };
  }

  /** Visits the free gaps between used blocks from a file offset on. Returns the number of bytes in the used blocks there. */
  #forEachGap(from: number, visit: (start: number, end: number) => void): number {
    let end = from;
    let used = 0;
    this.#forEachRun((start, stop) => {
      const first = Math.floor(start / BLOCK) * BLOCK;
      if (first > end) visit(end, first);
      const next = Math.max(end, alignUp(stop, BLOCK));
      used += next - Math.min(Math.max(end, first), next);
      end = next;
    });
    visit(end, Number.POSITIVE_INFINITY);
    return used;
  }

  /** Visits each used run in the order of the starts: the sorted clusters and the sorted runs, merged. */
  #forEachRun(visit: (start: number, end: number) => void): void {
    const clusters = this.#clusters.view().sort();
    const starts = this.#starts.view();
    const ends = this.#ends.view();
    const order = new Uint32Array(starts.length).map((_, index) => index);
    order.sort((a, b) => numberAt(starts, a) - numberAt(starts, b));
    let cluster = 0;
    const visitClustersUpTo = (limit: number): void => {
      for (; cluster < clusters.length; cluster++) {
        const offset = numberAt(clusters, cluster);
        if (offset > limit) return;
        visit(offset, offset + this.#clusterSize);
      }
    };
    for (const run of order) {
      const start = numberAt(starts, run);
      visitClustersUpTo(start);
      visit(start, numberAt(ends, run));
    }
    visitClustersUpTo(Number.POSITIVE_INFINITY);
  }
}
