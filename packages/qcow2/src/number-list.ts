import type { ByteRange } from "@qdb/format";

/** Whether two ranges share a cluster. An empty range shares none. */
export function shareCluster(a: ByteRange, b: ByteRange, clusterSize: number): boolean {
  if (a.length === 0 || b.length === 0) return false;
  return (
    firstCluster(a, clusterSize) < endCluster(b, clusterSize) &&
    firstCluster(b, clusterSize) < endCluster(a, clusterSize)
  );
}

function firstCluster(range: ByteRange, clusterSize: number): number {
  return Math.floor(range.offset / clusterSize);
}

function endCluster(range: ByteRange, clusterSize: number): number {
  return Math.ceil((range.offset + range.length) / clusterSize);
}

/** Capacity of the first piece of a {@link NumberList}. Each further piece doubles it, up to {@link LARGEST_PIECE}. */
const FIRST_PIECE = 256;
const LARGEST_PIECE = 2 ** 18;

/** A growing list of numbers that takes 8 bytes for each. */
export class NumberList {
  readonly #full: Float64Array[] = [];
  #last = new Float64Array(FIRST_PIECE);
  #used = 0;
  #length = 0;

  push(value: number): void {
    if (this.#used === this.#last.length) {
      this.#full.push(this.#last);
      this.#last = new Float64Array(Math.min(this.#last.length * 2, LARGEST_PIECE));
      this.#used = 0;
    }
    this.#last[this.#used++] = value;
    this.#length++;
  }

  /** Adds the numbers of the clusters that a range covers inside a file of `fileSize` bytes. */
  pushClusters({ offset, length }: ByteRange, clusterSize: number, fileSize: number): void {
    const end = Math.min(offset + length, fileSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster * clusterSize < end; cluster++) this.push(cluster);
  }

  /** A copy of the numbers as one array. */
  toArray(): Float64Array {
    const all = new Float64Array(this.#length);
    let at = 0;
    for (const piece of this.#full) {
      all.set(piece, at);
      at += piece.length;
    }
    all.set(this.#last.subarray(0, this.#used), at);
    return all;
  }
}
