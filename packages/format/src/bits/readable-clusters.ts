import { clearBytesFrom, sliceWords, wordsOfBytes } from "../bitmap/bit-bytes.ts";
import { Bitmap } from "../bitmap/bitmap.ts";
import { kindOfPage, type Page, type PageKind } from "../bitmap/page.ts";
import { kindOfRange } from "../bitmap/page-ranges.ts";
import { PageTable } from "../bitmap/page-table.ts";
import { type BitmapShape, type BitRange, bitsOfShape } from "../bitmap/shape.ts";
import type { Limits } from "../limits.ts";
import type { Plan } from "../ports/plan.ts";
import type { BitSource } from "./bit-source.ts";
import type { ClusterMap } from "./cluster-map.ts";
import type { DerivedClusters } from "./derived-clusters.ts";
import { addToRuns, type ClusterRun, fillStored, putPage } from "./fill-clusters.ts";
import { Scratch } from "./scratch.ts";

/** Where the bits of unread clusters are: in a file, or in a bitmap in memory that nobody changes. */
export type Base = ClusterMap | Bitmap;

/** How bits are changed. */
export interface ChangeOptions extends Limits {
  /** Whether combinations read the bits when they are stored, so that damage is found then, and not before. */
  readonly readsLater?: boolean | undefined;
}

/** What all bits of a file have in common. */
export interface ClusterBitsOptions extends ChangeOptions {
  /** Bytes per cluster. */
  readonly clusterSize: number;
}

/**
 * The bits of a bitmap, cluster by cluster, for reading. A cluster is in a file, computed when it is needed, all zeros, all ones, or held in
 * words.
 */
export abstract class ReadableClusters implements BitSource {
  readonly size: bigint;
  readonly granularity: number;
  /** Number of bits. */
  readonly bitCount: number;
  /** Bytes per cluster. */
  readonly clusterSize: number;
  /** Number of clusters. */
  readonly count: number;
  protected readonly options: ClusterBitsOptions;
  protected readonly base: Base | undefined;
  /** What is in memory: a page of a cluster takes the place of what the file has, or what is computed. */
  protected readonly held: PageTable;
  protected derived: DerivedClusters | undefined;

  protected constructor(
    shape: BitmapShape,
    options: ClusterBitsOptions,
    base: Base | undefined,
    held: PageTable | undefined,
    derived: DerivedClusters | undefined,
  ) {
    this.size = shape.size;
    this.granularity = shape.granularity;
    this.bitCount = bitsOfShape(shape);
    this.clusterSize = options.clusterSize;
    this.count = Math.ceil(this.bitCount / (options.clusterSize * 8));
    this.options = options;
    this.base = base;
    this.derived = derived;
    this.held = held ?? PageTable.all(this.count, base === undefined ? "zeros" : undefined);
  }

  /** See {@link ChangeOptions.readsLater}. */
  get readsLater(): boolean {
    return this.options.readsLater === true;
  }

  /** Returns the bits of a cluster. */
  rangeOf(cluster: number): BitRange {
    const bits = this.clusterSize * 8;
    return { first: cluster * bits, end: Math.min((cluster + 1) * bits, this.bitCount) };
  }

  protected bitsIn(cluster: number): number {
    const { first, end } = this.rangeOf(cluster);
    return end - first;
  }

  /** Returns what is known of a cluster without reading it. */
  kindOf(cluster: number): PageKind {
    const page = this.held.page(cluster);
    if (page !== undefined) return kindOfPage(page);
    if (this.derived?.has(cluster) === true) return "words";
    const base = this.base;
    if (base === undefined) throw new Error("a cluster that nothing has stored is unread");
    if (base instanceof Bitmap) return base.kindOf(this.rangeOf(cluster));
    const kind = base.kind(cluster);
    return kind === "data" ? "words" : kind;
  }

  kind(range: BitRange): PageKind {
    return kindOfRange(range, this.clusterSize * 8, (cluster) => this.kindOf(cluster));
  }

  /** Whether a cluster is computed when its bits are needed. */
  isDerived(cluster: number): boolean {
    return this.held.page(cluster) === undefined && this.derived?.has(cluster) === true;
  }

  /**
   * Returns the cluster after those from `cluster` on, before `limit`, that are stored in the file and have the bits that are stored;
   * `cluster` if there is none.
   */
  asStoredEnd(cluster: number, limit: number = this.count): number {
    const { base } = this;
    if (base === undefined || base instanceof Bitmap) return cluster;
    let end = cluster;
    while (end < limit && this.#isUnread(end) && base.kind(end) === "data") {
      const runEnd = base.runEnd?.(end, limit) ?? end + 1;
      do end++;
      while (end < runEnd && this.#isUnread(end));
    }
    return end;
  }

  /** Whether a cluster has the bits of `base`. */
  #isUnread(cluster: number): boolean {
    return this.held.page(cluster) === undefined && this.derived?.has(cluster) !== true;
  }

  /**
   * Whether a cluster can be stored in the file with bytes of a CRC-32, whatever bits it has now: it is, or the file has no checksums. False
   * if the file has fewer bits in it.
   */
  isStoredWith(cluster: number, checksum: number): boolean {
    const { base } = this;
    if (base === undefined || base instanceof Bitmap || !this.isWholeIn(base, cluster)) return false;
    if (base.kind(cluster) !== "data") return false;
    return base.checksum === undefined || base.checksum(cluster) === checksum;
  }

  /** Reads runs of clusters as they are stored. See {@link fillStored}. */
  fillAsStored(runs: readonly ClusterRun[], partOf: (first: number, end: number) => Uint8Array): Plan<void> {
    return fillStored(storedMap(this.base), runs, partOf);
  }

  /** Whether a cluster map has the same number of bits in a cluster as these bits. */
  protected isWholeIn(map: ClusterMap, cluster: number): boolean {
    return map.bitCount === this.bitCount || this.rangeOf(cluster + 1).first <= Math.min(map.bitCount, this.bitCount);
  }

  /**
   * Writes the bits of the clusters [first, end) to `into`, as a file has them; bits past the last one are zero. Reads those that are stored
   * in one round.
   * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum
   */
  *readInto(first: number, end: number, into: Uint8Array, scratch: Scratch): Plan<void> {
    const { clusterSize } = this;
    const partOf = (from: number, to: number): Uint8Array =>
      into.subarray((from - first) * clusterSize, (to - first) * clusterSize);
    const stored: ClusterRun[] = [];
    const computed: ClusterRun[] = [];
    // What is in memory is taken before anything is read, so that all bits are of one moment.
    for (let cluster = first, next = first; cluster < end; cluster = next) {
      next = this.asStoredEnd(cluster, end);
      if (next > cluster) stored.push([cluster, next]);
      else {
        next = cluster + 1;
        const page = this.#inMemory(cluster);
        if (page === undefined) addToRuns(computed, cluster);
        else putPage(page, this.bitsIn(cluster), partOf(cluster, next));
      }
    }
    if (stored.length > 0) yield* fillStored(storedMap(this.base), stored, partOf);
    const { derived } = this;
    for (const [from, to] of computed)
      if (derived !== undefined) yield* derived.compute(from, to, partOf(from, to), scratch);
    if (end === this.count) clearBytesFrom(partOf(end - 1, end), this.bitsIn(end - 1));
  }

  /** Returns the page of a cluster that is not as it is stored; undefined if it has to be computed. */
  #inMemory(cluster: number): Page | undefined {
    const page = this.held.page(cluster);
    if (page !== undefined) return page;
    if (this.derived?.has(cluster) === true) return undefined;
    if (this.base instanceof Bitmap) return this.base.pageAt(this.rangeOf(cluster));
    const kind = this.kindOf(cluster);
    if (kind === "words") throw new Error("a stored cluster is not read");
    return kind;
  }

  /** Returns the words of a cluster, which are the caller's. Keeps nothing that it reads. @throws {QdbError} as {@link readInto} */
  *words(cluster: number): Plan<Uint32Array> {
    const bytes = new Uint8Array(this.clusterSize);
    yield* this.readInto(cluster, cluster + 1, bytes, new Scratch());
    return wordsOfBytes(bytes.subarray(0, Math.ceil(this.bitsIn(cluster) / 32) * 4));
  }

  *page(range: BitRange, scratch: Scratch): Plan<Page> {
    const kind = this.kind(range);
    if (kind !== "words") return kind;
    const bits = this.clusterSize * 8;
    const first = Math.floor(range.first / bits);
    const end = Math.ceil(range.end / bits);
    const bytes = scratch.bytes((end - first) * this.clusterSize);
    yield* this.readInto(first, end, bytes, scratch.part(0));
    return sliceWords(wordsOfBytes(bytes), range.first - first * bits, range.end - first * bits);
  }

  /** How often clusters are read or computed for one of these bits, at most. */
  get work(): number {
    return this.derived?.work ?? 1;
  }

  /** Whether there can be clusters for which {@link isDerived}. */
  get hasDerived(): boolean {
    return this.derived !== undefined;
  }
}

/** Returns the cluster map of bits that are in a file. */
export function storedMap(base: Base | undefined): ClusterMap {
  if (base === undefined || base instanceof Bitmap) throw new Error("a cluster that is not in memory is in no file");
  return base;
}
