import type { ByteRange } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { NumberList, numberAt, viewOf } from "@qdb/format/internal";
import { INCOMPATIBLE, type Qcow2Header } from "./header.ts";
import {
  getRefcount,
  type RefcountGeometry,
  readRefcountTable,
  refcountGeometry,
  requireAlignedBlock,
} from "./refcount-table.ts";
import type { StructureReader } from "./structure-reader.ts";
import { FINDING, type WatchedClusters } from "./watched-clusters.ts";

/**
 * Checks the refcounts of watched clusters; each must be 1. Reads the whole refcount table, because a watched cluster can itself be a
 * refcount block. Of the blocks it reads only the parts with refcounts of watched clusters.
 */
export class Refcounts {
  readonly #header: Qcow2Header;
  readonly #watched: WatchedClusters;
  readonly #reader: StructureReader;
  readonly #geometry: RefcountGeometry;
  /**
   * Three numbers for each block to read: its file offset, the index in `clusters` of its first watched cluster, and the index after its
   * last one.
   */
  readonly #needed = new NumberList();
  /** Index of the first watched cluster whose refcount block was not reached yet. */
  #next = 0;

  /**
   * Prepares a check of the refcounts of `watched`. Nothing is read yet.
   * @throws {QdbError} BAD_FIELD if the header has an impossible refcount_order
   */
  constructor(header: Qcow2Header, watched: WatchedClusters, reader: StructureReader) {
    this.#header = header;
    this.#watched = watched;
    this.#reader = reader;
    this.#geometry = refcountGeometry(header);
  }

  /**
   * Marks the watched clusters that are refcount blocks, and those whose refcount is not 1. If the dirty bit of the image is set, refcounts
   * may be outdated (lazy refcounts), and only the blocks are marked.
   * @throws {QdbError} BAD_FIELD, LIMIT, MISALIGNED or OUT_OF_BOUNDS if a refcount cannot be read; OVERLAP as {@link StructureReader}
   */
  *mark(): Plan<void> {
    yield* this.#readTable();
    if ((this.#header.incompatibleFeatures & INCOMPATIBLE.dirty) !== 0n) return;
    // Clusters past those that the last block counts have the refcount 0.
    for (; this.#next < this.#watched.clusters.length; this.#next++) this.#watched.markAt(this.#next, FINDING.isFree);
    const needed = this.#needed.array();
    let at = 0;
    yield* this.#reader.readEach(this.#parts(needed), (bytes) => {
      this.#markBlock(bytes, numberAt(needed, at + 1), numberAt(needed, at + 2));
      at += 3;
    });
  }

  *#readTable(): Plan<void> {
    const length = this.#geometry.clusterSize;
    yield* readRefcountTable(this.#header, this.#reader, (block, offset, entryOffset) => {
      if (offset !== 0) this.#watched.mark({ offset, length }, FINDING.refcountBlock);
      this.#noteBlock(block, offset, entryOffset);
    });
  }

  /** Notes which part of a refcount block has to be read. @throws {QdbError} MISALIGNED for a block inside a cluster */
  #noteBlock(block: number, offset: number, entryOffset: number): void {
    const { clusters } = this.#watched;
    const first = this.#next;
    const end = (block + 1) * this.#geometry.perBlock;
    while (this.#next < clusters.length && numberAt(clusters, this.#next) < end) this.#next++;
    if (first === this.#next) return;
    if (offset === 0) {
      for (let at = first; at < this.#next; at++) this.#watched.markAt(at, FINDING.isFree);
      return;
    }
    requireAlignedBlock(block, offset, entryOffset, this.#geometry.clusterSize);
    this.#needed.push(offset);
    this.#needed.push(first);
    this.#needed.push(this.#next);
  }

  /** Yields the ranges of the refcount blocks to read. @throws {QdbError} OUT_OF_BOUNDS for a block past the end of the file */
  *#parts(needed: Float64Array): Generator<ByteRange, void> {
    for (let at = 0; at < needed.length; at += 3) {
      const start = this.#byteOf(numberAt(needed, at + 1));
      const length = this.#byteOf(numberAt(needed, at + 2) - 1) + Math.ceil(2 ** this.#geometry.order / 8) - start;
      const part = { offset: numberAt(needed, at) + start, length };
      this.#reader.requireInside({
        ...part,
        what: "a refcount block",
        where: { structure: "refcount block", offset: part.offset },
      });
      yield part;
    }
  }

  /**
   * Returns the offset, inside its refcount block, of the byte where the refcount of a watched cluster begins. `place` is the index of the
   * cluster.
   */
  #byteOf(place: number): number {
    return Math.floor((this.#entryOf(place) * 2 ** this.#geometry.order) / 8);
  }

  /** Returns the index of the refcount of a watched cluster in its refcount block. */
  #entryOf(place: number): number {
    return numberAt(this.#watched.clusters, place) % this.#geometry.perBlock;
  }

  /**
   * Marks the watched clusters with indices `first` to `end - 1` whose refcount is not 1. `bytes` begin with the byte that has the refcount
   * of `first`.
   */
  #markBlock(bytes: Uint8Array, first: number, end: number): void {
    const view = viewOf(bytes);
    const { order } = this.#geometry;
    const start = Math.floor((this.#byteOf(first) * 8) / 2 ** order);
    for (let place = first; place < end; place++) {
      const refcount = getRefcount(view, this.#entryOf(place) - start, order);
      if (refcount === 0) this.#watched.markAt(place, FINDING.isFree);
      else if (refcount !== 1) this.#watched.markAt(place, FINDING.isReferredToTwice);
    }
  }
}
