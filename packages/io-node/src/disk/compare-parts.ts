// What differs between two images, part by part: threads take the parts of one comparison in turn.
import type { Handle } from "../system/handle.ts";
import { readIntoWatched } from "./watched-image.ts";

/**
 * Number of bytes that are compared at a time. Two buffers of this size fit in the cache of a processor, and a read of this size takes much
 * longer than the overhead of its call.
 */
const WINDOW = 256 * 1024;

/** Length in bytes of a part, unless a granule is longer: a thread reports each part, which takes less time than one window of it. */
const PART = 8 * 1024 * 1024;

/** Two images, of which the first `total` bytes are compared. */
export interface ImagePair {
  readonly old: Handle;
  readonly now: Handle;
  readonly total: number;
  /** Granularity in bytes, a power of two. */
  readonly granularity: number;
}

/** Returns the length in bytes of the parts. Each granule is in one part. */
export function partLength({ granularity }: Pick<ImagePair, "granularity">): number {
  return Math.max(PART, granularity);
}

/** Returns the number of parts. */
export function partCount(pair: Pick<ImagePair, "granularity" | "total">): number {
  return Math.ceil(pair.total / partLength(pair));
}

/** Compares the parts of two images, in buffers that are used again. */
export class PartComparer {
  readonly #pair: ImagePair;
  readonly #a = Buffer.allocUnsafeSlow(WINDOW);
  readonly #b = Buffer.allocUnsafeSlow(WINDOW);

  constructor(pair: ImagePair) {
    this.#pair = pair;
  }

  /**
   * Compares a part. Calls `mark` with the index of each granule that differs, in ascending order, and yields the offset up to which the
   * images are compared, after each window.
   * @throws {QdbError} SOURCE_CHANGED if an image is shorter than it was; IO if a read fails
   */
  *compare(part: number, mark: (granule: number) => void): Generator<number, void> {
    const { old, now, granularity, total } = this.#pair;
    const start = part * partLength(this.#pair);
    const end = Math.min(total, start + partLength(this.#pair));
    for (let at = start; at < end; ) {
      const length = Math.min(WINDOW, end - at);
      readIntoWatched(old, this.#a, length, at);
      readIntoWatched(now, this.#b, length, at);
      const differs = this.#a.compare(this.#b, 0, length, 0, length) !== 0;
      if (differs) this.#markDifferent(at, length, mark);
      at += length;
      // The rest of a granule that is dirty already need not be compared.
      if (differs && granularity > WINDOW) at = Math.min(end, Math.ceil(at / granularity) * granularity);
      yield at;
    }
  }

  /** Marks the granules in which the buffers differ. The buffers hold a part of one granule, or begin at the start of a granule. */
  #markDifferent(at: number, length: number, mark: (granule: number) => void): void {
    const { granularity } = this.#pair;
    const first = Math.floor(at / granularity);
    if (granularity >= WINDOW) {
      mark(first);
      return;
    }
    for (let start = 0, granule = first; start < length; start += granularity, granule++) {
      const end = Math.min(start + granularity, length);
      if (this.#a.compare(this.#b, start, end, start, end) !== 0) mark(granule);
    }
  }
}
