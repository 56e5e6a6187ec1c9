import { alignUp } from "../layout/numbers.ts";
import type { Extent } from "../maps/cluster-owners.ts";
import { BLOCK } from "../maps/reached.ts";

/** Free runs of whole blocks, ascending; the last one has no end. */
export interface FreeRuns {
  /** File offsets in bytes. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  /** Bytes of the blocks that are taken behind the place where the runs begin. */
  readonly taken: number;
}

/** Numbers, gathered without knowing how many there will be. */
class Numbers {
  #values = new Float64Array(64);
  #used = 0;

  push(value: number): void {
    if (this.#used === this.#values.length) {
      const longer = new Float64Array(2 * this.#used);
      longer.set(this.#values);
      this.#values = longer;
    }
    this.#values[this.#used++] = value;
  }

  get values(): Float64Array {
    return this.#values.subarray(0, this.#used);
  }
}

/**
 * The parts of a file that are taken: many single clusters, and few runs of any length. Kept as plain numbers, since the L1 areas of
 * a hostile file name millions of clusters.
 */
export class UsedSpace {
  readonly #clusterSize: number;
  readonly #clusters = new Numbers();
  readonly #starts = new Numbers();
  readonly #ends = new Numbers();

  /** `clusterSize` in bytes: the length of most runs. */
  constructor(clusterSize: number) {
    this.#clusterSize = clusterSize;
  }

  /** Takes a run of bytes; runs may come in any order and overlap. */
  add({ offset, length }: Extent): void {
    if (length === this.#clusterSize) {
      this.#clusters.push(offset);
    } else if (length > 0) {
      this.#starts.push(offset);
      this.#ends.push(offset + length);
    }
  }

  /** End of the last run that ends inside a file of so many bytes; 0 when there is none. */
  lastEndWithin(fileSize: number): number {
    let last = 0;
    const look = (end: number): void => {
      if (end > last && end <= fileSize) last = end;
    };
    for (const offset of this.#clusters.values) look(offset + this.#clusterSize);
    for (const end of this.#ends.values) look(end);
    return last;
  }

  /** What is free behind a file offset, a multiple of 4096. */
  freeFrom(from: number): FreeRuns {
    const clusters = this.#clusters.values.sort();
    const starts = this.#starts.values;
    const ends = this.#ends.values;
    const order = new Uint32Array(starts.length).map((_, at) => at);
    order.sort((a, b) => (starts[a] ?? 0) - (starts[b] ?? 0));
    const walk = (gap: (start: number, end: number) => void): number => {
      let end = from;
      let taken = 0;
      let [cluster, run] = [0, 0];
      while (cluster < clusters.length || run < order.length) {
        const single = clusters[cluster] ?? Number.POSITIVE_INFINITY;
        const long = starts[order[run] ?? order.length] ?? Number.POSITIVE_INFINITY;
        let stop: number;
        if (single <= long) {
          stop = single + this.#clusterSize;
          cluster++;
        } else {
          stop = ends[order[run] ?? 0] ?? 0;
          run++;
        }
        const first = Math.floor(Math.min(single, long) / BLOCK) * BLOCK;
        if (first > end) gap(end, first);
        const next = Math.max(end, alignUp(stop, BLOCK));
        taken += next - Math.min(Math.max(end, first), next);
        end = next;
      }
      gap(end, Number.POSITIVE_INFINITY);
      return taken;
    };
    let count = 0;
    walk(() => count++);
    const runs = { starts: new Float64Array(count), ends: new Float64Array(count) };
    let at = 0;
    const taken = walk((start, end) => {
      runs.starts[at] = start;
      runs.ends[at++] = end;
    });
    return { ...runs, taken };
  }
}
