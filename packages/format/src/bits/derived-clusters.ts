// Clusters whose bits are computed when they are needed: a combination of two large bitmaps takes no memory before it is stored.
import { byteAt } from "../elements.ts";
import type { Plan } from "../ports/plan.ts";
import type { Scratch } from "./scratch.ts";

/**
 * Writes the bits of the clusters [first, end) to `into`, as a file has them. They are computed from bits that nobody changes any more. Unless
 * it is one cluster, the run begins at a multiple of its length, which is a power of two.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster that is read does not match its checksum
 */
export type Compute = (first: number, end: number, into: Uint8Array, scratch: Scratch) => Plan<void>;

/** What a change makes of a cluster: a number of one byte, since there can be millions. Others stay as they are. */
export const CHANGE_KIND = { derived: 1, zeros: 2, ones: 3 } as const;

/** The clusters of a bitmap that a change computes, and those that changes before it compute. */
export class DerivedClusters {
  readonly #kinds: Uint8Array;
  readonly #compute: Compute;
  readonly #before: DerivedClusters | undefined;
  /** How often clusters are read or computed for one of these, at most. */
  readonly work: number;

  /**
   * `compute` computes those of `kinds`, a {@link CHANGE_KIND} for each cluster, that are derived, from clusters that are read or computed
   * `work` times.
   */
  constructor(kinds: Uint8Array, compute: Compute, work: number, before: DerivedClusters | undefined) {
    this.work = work;
    this.#kinds = kinds;
    this.#compute = compute;
    this.#before = before;
  }

  /** Whether a cluster is one of them. A resized bitmap can have more clusters. */
  has(cluster: number): boolean {
    return this.#kinds[cluster] === CHANGE_KIND.derived || this.#before?.has(cluster) === true;
  }

  #isOwn(cluster: number): boolean {
    return byteAt(this.#kinds, cluster) === CHANGE_KIND.derived;
  }

  /** Computes the clusters [first, end), all of which are derived. */
  *compute(first: number, end: number, into: Uint8Array, scratch: Scratch): Plan<void> {
    const clusterSize = into.length / (end - first);
    for (let at = first, next = first; at < end; at = next) {
      const isOwn = this.#isOwn(at);
      next = alignedEnd(at, end, end - first, (cluster) => this.#isOwn(cluster) === isOwn);
      const part = into.subarray((at - first) * clusterSize, (next - first) * clusterSize);
      if (isOwn) yield* this.#compute(at, next, part, scratch.part(0));
      else if (this.#before === undefined) throw new Error("a cluster is computed that no change derives");
      else yield* this.#before.compute(at, next, part, scratch.part(1));
    }
  }
}

/**
 * Returns the end of the longest run of wanted clusters from `first` on that begins at a multiple of its length, a power of two that is not
 * more than `most`, and does not pass `end`. The first cluster is wanted.
 */
export function alignedEnd(first: number, end: number, most: number, isWanted: (cluster: number) => boolean): number {
  let length = 1;
  while (length * 2 <= most && first % (length * 2) === 0 && first + length * 2 <= end) {
    for (let cluster = first + length; cluster < first + length * 2; cluster++)
      if (!isWanted(cluster)) return first + length;
    length *= 2;
  }
  return first + length;
}
