import { bytesOfWords } from "../bitmap/bit-bytes.ts";
import { Bitmap } from "../bitmap/bitmap.ts";
import { equalPages, fillPage, type Page, pageOfWords, resizedPage } from "../bitmap/page.ts";
import type { PageTable } from "../bitmap/page-table.ts";
import { type BitmapShape, type BitRange, bitsOfShape } from "../bitmap/shape.ts";
import { isQdbError, QdbError } from "../errors.ts";
import { maxBitmapBytesOf } from "../limits.ts";
import { type Plan, tryReadRange } from "../ports/plan.ts";
import { wordsOfCluster } from "./cluster-bytes.ts";
import type { ClusterMap } from "./cluster-map.ts";
import { CHANGE_KIND, type Compute, DerivedClusters } from "./derived-clusters.ts";
import { type Base, type ChangeOptions, type ClusterBitsOptions, ReadableClusters } from "./readable-clusters.ts";

/** How a cluster is to be stored. "kept": it stays where the cluster map has it, with its checksum. */
export type ClusterToStore<T> = "kept" | "zeros" | "ones" | T;

/** Makes a change that was prepared, and cannot fail. Returns the bits after it, which may be another object. */
export type Apply = () => ClusterBits;

/**
 * The bits of a bitmap, cluster by cluster. A cluster is unread, all zeros, all ones, or held in words: only clusters that change are held
 * in memory. A change is prepared by a plan, which reads what it needs and can fail, and is then made by {@link Apply}. If `version` has
 * changed meanwhile, the change has to be prepared again.
 */
export class ClusterBits extends ReadableClusters {
  #version = 0;

  private constructor(
    shape: BitmapShape,
    options: ClusterBitsOptions,
    base: Base | undefined,
    held?: PageTable,
    derived?: DerivedClusters,
  ) {
    super(shape, options, base, held, derived);
  }

  /** Returns the bits that a cluster map finds in a file. Nothing is read. */
  static over(map: ClusterMap, options: ChangeOptions = {}): ClusterBits {
    return new ClusterBits(map.shape, { ...options, clusterSize: map.clusterSize }, map);
  }

  /** Returns the bits of a bitmap in memory. Changes of the bitmap that follow have no effect on them. */
  static of(bitmap: Bitmap, options: ClusterBitsOptions): ClusterBits {
    return new ClusterBits(bitmap, options, bitmap.clone());
  }

  /** Returns bits that are all clean ("zeros") or all dirty ("ones"). @throws {QdbError} USAGE, LIMIT if the format does not allow the shape */
  static uniform(shape: BitmapShape, kind: "zeros" | "ones", options: ClusterBitsOptions): ClusterBits {
    const bits = new ClusterBits(shape, options, undefined);
    bits.fill(kind);
    return bits;
  }

  /** Returns the same bits. Changes of one of the two have no effect on the other. */
  fork(): ClusterBits {
    return new ClusterBits(this, this.options, this.base, this.held.copy(), this.derived);
  }

  /** A number that is another one after each change. */
  get version(): number {
    return this.#version;
  }

  /** Sets pages. The caller does not change their words any more. */
  set(pages: Iterable<readonly [cluster: number, page: Page]>): void {
    this.#version++;
    for (const [cluster, page] of pages) this.held.set(cluster, page);
  }

  /**
   * Makes of each cluster what `kinds` says, which has a {@link CHANGE_KIND} for each. `compute` computes those that are derived, from
   * clusters that are read or computed `work` times.
   */
  change(kinds: Uint8Array, compute: Compute, work: number): void {
    this.#version++;
    if (kinds.includes(CHANGE_KIND.derived)) this.derived = new DerivedClusters(kinds, compute, work, this.derived);
    for (let cluster = 0; cluster < kinds.length; cluster++) {
      const kind = kinds[cluster];
      if (kind === CHANGE_KIND.zeros) this.held.set(cluster, "zeros");
      else if (kind === CHANGE_KIND.ones) this.held.set(cluster, "ones");
      else if (kind === CHANGE_KIND.derived && this.held.page(cluster) !== undefined) this.held.set(cluster, undefined);
    }
  }

  /**
   * Computes the clusters that are computed when they are needed, and holds them. The bits stay the same.
   * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; LIMIT as {@link requireMemory}
   */
  *hold(): Plan<void> {
    const version = this.#version;
    const found: (readonly [number, Uint32Array])[] = [];
    for (let cluster = 0; cluster < this.count; cluster++) {
      if (!this.isDerived(cluster)) continue;
      this.requireMemory(found.length + 1);
      found.push([cluster, yield* this.words(cluster)]);
    }
    // Otherwise an action has changed the bits meanwhile, and what was computed is of the bits before it.
    if (this.#version !== version) return;
    for (const [cluster, words] of found) this.held.setOwn(cluster, words);
    this.derived = undefined;
  }

  /** Makes all bits clean ("zeros") or dirty ("ones"). */
  fill(kind: "zeros" | "ones"): void {
    this.#version++;
    this.held.fill(0, this.count, kind);
  }

  /**
   * Prepares to make a range of bits clean ("zeros") or dirty ("ones"). Reads at most two clusters: those that the range covers in part.
   * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; LIMIT as {@link requireMemory}
   */
  *prepareRange({ first, end }: BitRange, kind: "zeros" | "ones"): Plan<Apply> {
    if (first >= end) return () => this;
    const bits = this.clusterSize * 8;
    const ends = new Set([Math.floor(first / bits), Math.floor((end - 1) / bits)]);
    const partial = [...ends].filter((cluster) => {
      const range = this.rangeOf(cluster);
      return (range.first < first || range.end > end) && this.kindOf(cluster) !== kind;
    });
    const added = partial.filter((cluster) => typeof this.held.page(cluster) !== "object");
    this.requireMemory(added.length);
    const loaded: (readonly [number, Uint32Array])[] = [];
    for (const cluster of added) loaded.push([cluster, yield* this.words(cluster)]);
    return () => {
      this.#version++;
      for (const [cluster, words] of loaded) this.held.setOwn(cluster, words);
      for (const cluster of partial) {
        const from = Math.max(0, first - cluster * bits);
        const to = Math.min(bits, end - cluster * bits);
        fillPage(this.held.ownWords(cluster), from, to, kind);
      }
      this.held.fill(Math.ceil(first / bits), end === this.bitCount ? this.count : Math.floor(end / bits), kind);
      return this;
    };
  }

  /**
   * Refuses to hold more clusters in memory.
   * @throws {QdbError} LIMIT if the bitmap has more bits than fit `maxBitmapBytes`, and the held clusters with `more` of them do not fit
   */
  requireMemory(more: number): void {
    const limit = maxBitmapBytesOf(this.options);
    const needed = (this.held.held + more) * this.clusterSize;
    if (needed <= limit || Math.ceil(this.bitCount / 8) <= limit) return;
    const bitmap = this.base === undefined || this.base instanceof Bitmap ? {} : { bitmap: this.base.label };
    throw new QdbError(
      "LIMIT",
      `the changed bits take ${needed} bytes in memory, at most ${limit} are allowed; raise maxBitmapBytes`,
      bitmap,
    );
  }

  /**
   * Prepares to adapt the bits to a disk of another size. Reads at most one cluster: the one in which the smaller of the two bitmaps ends.
   * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape; BAD_CHECKSUM if a data cluster does not match its checksum
   */
  *prepareResize(size: bigint, newArea: "dirty" | "clean"): Plan<Apply> {
    const shape = { size, granularity: this.granularity };
    const clusterBits = this.clusterSize * 8;
    const smaller = Math.min(this.bitCount, bitsOfShape(shape));
    const whole = Math.floor(smaller / clusterBits);
    const isCut = whole * clusterBits < smaller;
    const page = isCut ? yield* this.words(whole) : undefined;
    const count = Math.ceil(bitsOfShape(shape) / clusterBits);
    const resized = new ClusterBits(shape, this.options, this.base, this.held.copy(whole, count), this.derived);
    if (page !== undefined) {
      // The stored cluster is not kept, even if no bit changes: bits past the old end need not be zero in the file.
      const kept = smaller - whole * clusterBits;
      resized.set([[whole, resizedPage(page, this.bitsIn(whole), kept, resized.bitsIn(whole))]]);
    }
    if (size <= this.size || newArea === "clean") return () => resized;
    const first = Number(this.size / BigInt(this.granularity));
    return yield* resized.prepareRange({ first, end: resized.bitCount }, "ones");
  }

  /**
   * Compares each cluster held in words with the stored one: if they are equal, it is unread again and stays where it is. Reads a stored
   * cluster only if its checksum allows that they are equal. A stored cluster that cannot be read counts as different.
   */
  *settle(): Plan<void> {
    const base = this.base;
    for (const [cluster, words] of this.held.words()) {
      const page = pageOfWords(words, this.bitsIn(cluster));
      const { version } = this;
      if (typeof page === "string") this.held.set(cluster, page);
      if (typeof page === "string" || base === undefined || base instanceof Bitmap) continue;
      if (!this.isWholeIn(base, cluster) || base.kind(cluster) !== "data" || this.derived?.has(cluster) === true)
        continue;
      if (base.verify(cluster, bytesOfWords(words, this.clusterSize)) !== undefined) continue;
      const bytes = yield* tryReadRange(base.offset(cluster), this.clusterSize);
      if (isQdbError(bytes) || this.#version !== version) continue;
      if (equalPages(words, wordsOfCluster(bytes, this.clusterSize, this.bitsIn(cluster)), this.bitsIn(cluster)))
        this.held.set(cluster, undefined);
    }
  }

  /**
   * Whether shape or bits differ from those of a cluster map. Call {@link settle} first. Computed clusters count as different, unless they
   * are known to be the same.
   */
  isChangedFrom(map: ClusterMap | undefined, areDerivedSame = false): boolean {
    if (map === undefined || map !== this.base || (this.hasDerived && !areDerivedSame)) return true;
    const { size, granularity } = map.shape;
    if (size !== this.size || granularity !== this.granularity) return true;
    for (let cluster = 0; cluster < this.count; cluster++) {
      const page = this.held.page(cluster);
      if (page !== undefined && page !== map.kind(cluster)) return true;
    }
    return false;
  }

  /**
   * Returns how a cluster that is not computed is to be stored: for bytes, what `use` makes of them. They are for reading only, and valid
   * during the call.
   */
  storedAs<T>(cluster: number, use: (bytes: Uint8Array) => T): ClusterToStore<T> {
    const kind = this.kindOf(cluster);
    if (kind !== "words") return kind;
    const page = this.held.page(cluster);
    if (page === undefined && this.base instanceof Bitmap)
      return this.base.withView(cluster * this.clusterSize, this.clusterSize, use);
    if (typeof page !== "object") return "kept";
    const uniform = pageOfWords(page, this.bitsIn(cluster));
    return typeof uniform === "string" ? uniform : use(bytesOfWords(uniform, this.clusterSize));
  }
}
