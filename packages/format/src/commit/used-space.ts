import { numberAt } from "../elements.ts";
import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import { NumberList } from "../number-list.ts";
import type { ByteRange } from "../ports/source.ts";

/** Free runs in whole blocks of 4096 bytes, ascending. The last run has no end. */
export interface FreeRuns {
  /** File offsets of the first byte of each run. */
  readonly starts: Float64Array;
  /** File offsets of the first byte after each run; Infinity for the last run. */
  readonly ends: Float64Array;
  /** Number of bytes in used blocks, counted from the offset that `freeFrom` was called with. */
  readonly used: number;
}

/**
 * Collects the used parts of a file: many single clusters, and few runs of other lengths. They are kept as plain numbers, because the L1
 * areas of a hostile file can name millions of clusters.
 */
export class UsedSpace {
  readonly #clusterSize: number;
  readonly #clusters = new NumberList();
  readonly #starts = new NumberList();
  readonly #ends = new NumberList();

  /** `clusterSize` is in bytes. Runs of this length are kept as one number each. */
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

  /** Returns the largest end of a used run that does not pass the end of a file of `fileSize` bytes; 0 if there is none. */
  lastEndWithin(fileSize: number): number {
    let last = 0;
    const consider = (end: number): void => {
      if (end > last && end <= fileSize) last = end;
    };
    for (const offset of this.#clusters.array()) consider(offset + this.#clusterSize);
    for (const end of this.#ends.array()) consider(end);
    return last;
  }

  /** Returns the free runs from file offset `from` on, which must be a multiple of 4096. */
  freeFrom(from: number): FreeRuns {
    // The gaps are visited twice: first to count them, then to store them in arrays of exactly that length.
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

  /** Visits the gaps between used blocks from file offset `from` on. Returns the number of bytes in used blocks from there on. */
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

  /** Visits the used runs in the order of their starts, by merging the sorted clusters with the sorted runs. */
  #forEachRun(visit: (start: number, end: number) => void): void {
    const clusters = this.#clusters.array().sort();
    const starts = this.#starts.array();
    const ends = this.#ends.array();
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
