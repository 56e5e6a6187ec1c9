import type { Page } from "../bitmap/page.ts";
import { byteAt } from "../elements.ts";

/** States of a cluster. */
const UNREAD = 0;
const ZEROS = 1;
const ONES = 2;
const WORDS = 3;

function stateOf(page: Page): number {
  if (page === "zeros") return ZEROS;
  return page === "ones" ? ONES : WORDS;
}

/**
 * The clusters of a bitmap that are held in memory: as zeros, as ones, or as words. All others are unread. It takes a byte for each cluster,
 * and the words.
 */
export class HeldClusters {
  readonly #states: Uint8Array;
  readonly #words: Map<number, Uint32Array>;
  /** The clusters whose words nobody else holds, so that they can be changed in place. */
  readonly #own = new Set<number>();

  private constructor(states: Uint8Array, words: Iterable<readonly [number, Uint32Array]>) {
    this.#states = states;
    this.#words = new Map(words);
  }

  /** Returns `count` clusters that are all unread, or all zeros or ones. */
  static all(count: number, kind: "unread" | "zeros" | "ones"): HeldClusters {
    return new HeldClusters(new Uint8Array(count).fill(kind === "unread" ? UNREAD : stateOf(kind)), []);
  }

  /** Returns a copy of the first `whole` of these clusters, followed by clusters of zeros: `count` clusters in all. Words are shared until one of the two changes them. */
  copy(whole = this.#states.length, count = whole): HeldClusters {
    this.#own.clear();
    const states = new Uint8Array(count).fill(ZEROS);
    states.set(this.#states.subarray(0, whole));
    return new HeldClusters(
      states,
      [...this.#words].filter(([cluster]) => cluster < whole),
    );
  }

  /** Number of clusters held as words. */
  get wordClusters(): number {
    return this.#words.size;
  }

  /** Returns each cluster that is held as words. */
  words(): readonly (readonly [cluster: number, words: Uint32Array])[] {
    return [...this.#words];
  }

  /** Returns the page of a cluster, for reading only; undefined if the cluster is unread. */
  page(cluster: number): Page | undefined {
    switch (byteAt(this.#states, cluster)) {
      case UNREAD:
        return undefined;
      case ZEROS:
        return "zeros";
      case ONES:
        return "ones";
      default:
        return this.#wordsOf(cluster);
    }
  }

  #wordsOf(cluster: number): Uint32Array {
    const words = this.#words.get(cluster);
    if (words === undefined) throw new Error("the words of a cluster are missing");
    return words;
  }

  /** Sets the page of a cluster. The words may have other holders: they are copied before they are changed. */
  set(cluster: number, page: Page): void {
    this.#states[cluster] = stateOf(page);
    this.#own.delete(cluster);
    if (typeof page === "string") this.#words.delete(cluster);
    else this.#words.set(cluster, page);
  }

  /** Makes a cluster unread. */
  forget(cluster: number): void {
    this.#states[cluster] = UNREAD;
    this.#own.delete(cluster);
    this.#words.delete(cluster);
  }

  /** Sets the clusters [first, end) to zeros or ones. */
  fill(first: number, end: number, kind: "zeros" | "ones"): void {
    if (first >= end) return;
    this.#states.fill(stateOf(kind), first, end);
    const drop = (cluster: number): void => {
      this.#words.delete(cluster);
      this.#own.delete(cluster);
    };
    if (end - first < this.#words.size) for (let cluster = first; cluster < end; cluster++) drop(cluster);
    else for (const cluster of [...this.#words.keys()]) if (cluster >= first && cluster < end) drop(cluster);
  }

  /** Returns the words of a cluster that is held as words, for changing them in place. */
  ownWords(cluster: number): Uint32Array {
    const words = this.#wordsOf(cluster);
    if (this.#own.has(cluster)) return words;
    const own = words.slice();
    this.#words.set(cluster, own);
    this.#own.add(cluster);
    return own;
  }
}
