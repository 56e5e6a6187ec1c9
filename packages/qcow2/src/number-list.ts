import type { ByteRange } from "@qdb/format";

/** Whether two ranges share a cluster. An empty range shares none with any other. */
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

/**
 * Capacity of the first array of a {@link NumberList}. Each further array has twice the capacity of the one before, up to {@link
 * MAX_CAPACITY}.
 */
const FIRST_CAPACITY = 256;
const MAX_CAPACITY = 2 ** 18;

/** A list of numbers that grows as needed. It takes 8 bytes for each number. */
export class NumberList {
  readonly #full: Float64Array[] = [];
  #last = new Float64Array(FIRST_CAPACITY);
  #used = 0;
  #length = 0;

  push(value: number): void {
    if (this.#used === this.#last.length) {
      this.#full.push(this.#last);
      this.#last = new Float64Array(Math.min(this.#last.length * 2, MAX_CAPACITY));
      this.#used = 0;
    }
    this.#last[this.#used++] = value;
    this.#length++;
  }

  /** Adds the number of each cluster of a range. Clusters past the end of a file of `fileSize` bytes are left out. */
  pushClusters({ offset, length }: ByteRange, clusterSize: number, fileSize: number): void {
    const end = Math.min(offset + length, fileSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster * clusterSize < end; cluster++) this.push(cluster);
  }

  /** Returns a copy of all numbers in one array. */
  toArray(): Float64Array {
    const all = new Float64Array(this.#length);
    let at = 0;
    for (const array of this.#full) {
      all.set(array, at);
      at += array.length;
    }
    all.set(this.#last.subarray(0, this.#used), at);
    return all;
  }
}
