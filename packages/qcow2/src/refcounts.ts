import { type ByteRange, QdbError } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { NumberList, numberAt, viewOf } from "@qdb/format/internal";
import { headerError, headerWhere, INCOMPATIBLE, type Qcow2Header } from "./header.ts";
import { MAX_REFCOUNT_TABLE_SIZE } from "./limits.ts";
import { OffsetTable } from "./offset-table.ts";
import type { StructureReader } from "./structure-reader.ts";
import { FINDING, type WatchedClusters } from "./watched-clusters.ts";

/** Maximum value of `refcount_order`: refcounts of 64 bits. */
const MAX_REFCOUNT_ORDER = 6;
/** Length of a refcount table entry in bytes. */
const ENTRY_SIZE = 8;

/**
 * Checks the refcounts of watched clusters; each must be 1. Reads the whole refcount table, because a watched cluster can itself be a
 * refcount block. Of the blocks it reads only the parts with refcounts of watched clusters.
 */
export class Refcounts {
  readonly #header: Qcow2Header;
  readonly #watched: WatchedClusters;
  readonly #reader: StructureReader;
  readonly #clusterSize: number;
  /** Number of refcounts in one block. */
  readonly #perBlock: number;
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
    const { refcountOrder, clusterBits } = header;
    if (refcountOrder > MAX_REFCOUNT_ORDER) {
      throw headerError(
        "refcountOrder",
        "BAD_FIELD",
        `refcount_order is ${refcountOrder}, allowed are 0 to ${MAX_REFCOUNT_ORDER}; no refcount can be read`,
      );
    }
    this.#header = header;
    this.#watched = watched;
    this.#reader = reader;
    this.#clusterSize = 2 ** clusterBits;
    this.#perBlock = 2 ** (clusterBits + 3 - refcountOrder);
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
    const offset = Number(this.#header.refcountTableOffset);
    const length = this.#header.refcountTableClusters * this.#clusterSize;
    const where = headerWhere("refcountTableOffset");
    const what = "the refcount table";
    if (offset === 0) throw headerError("refcountTableOffset", "BAD_FIELD", `the offset of ${what} is 0`);
    if (offset % this.#clusterSize !== 0) {
      const message = `${what} is at ${offset}, no multiple of the cluster size ${this.#clusterSize}`;
      throw headerError("refcountTableOffset", "MISALIGNED", message);
    }
    if (length > MAX_REFCOUNT_TABLE_SIZE) {
      const message = `${what} has ${length} bytes, at most ${MAX_REFCOUNT_TABLE_SIZE} are read`;
      throw headerError("refcountTableClusters", "LIMIT", message);
    }
    let block = 0;
    yield* this.#reader.readPieces({ offset, length, what, where }, (bytes, piece) => {
      const entries = new OffsetTable(bytes);
      for (let entry = 0; entry < entries.count; entry++, block++) {
        // In the refcount table the offset is bits 9-63, not 9-55 as in the other tables.
        const blockOffset = entries.high(entry) * 2 ** 32 + entries.low(entry) - (entries.low(entry) % 512);
        if (blockOffset !== 0)
          this.#watched.mark({ offset: blockOffset, length: this.#clusterSize }, FINDING.refcountBlock);
        this.#noteBlock(block, blockOffset, piece.offset + entry * ENTRY_SIZE);
      }
    });
  }

  /** Notes which part of a refcount block has to be read. @throws {QdbError} MISALIGNED for a block inside a cluster */
  #noteBlock(block: number, offset: number, entryOffset: number): void {
    const { clusters } = this.#watched;
    const first = this.#next;
    const end = (block + 1) * this.#perBlock;
    while (this.#next < clusters.length && numberAt(clusters, this.#next) < end) this.#next++;
    if (first === this.#next) return;
    if (offset === 0) {
      for (let at = first; at < this.#next; at++) this.#watched.markAt(at, FINDING.isFree);
      return;
    }
    if (offset % this.#clusterSize !== 0) {
      const message = `refcount block ${block} is at ${offset}, no multiple of the cluster size ${this.#clusterSize}`;
      throw new QdbError("MISALIGNED", message, { structure: "refcount table entry", offset: entryOffset });
    }
    this.#needed.push(offset);
    this.#needed.push(first);
    this.#needed.push(this.#next);
  }

  /** Yields the ranges of the refcount blocks to read. @throws {QdbError} OUT_OF_BOUNDS for a block past the end of the file */
  *#parts(needed: Float64Array): Generator<ByteRange, void> {
    for (let at = 0; at < needed.length; at += 3) {
      const start = this.#byteOf(numberAt(needed, at + 1));
      const length = this.#byteOf(numberAt(needed, at + 2) - 1) + Math.ceil(this.#bits / 8) - start;
      const part = { offset: numberAt(needed, at) + start, length };
      this.#reader.requireInside({
        ...part,
        what: "a refcount block",
        where: { structure: "refcount block", offset: part.offset },
      });
      yield part;
    }
  }

  /** Width of a refcount in bits. */
  get #bits(): number {
    return 2 ** this.#header.refcountOrder;
  }

  /**
   * Returns the offset, inside its refcount block, of the byte where the refcount of a watched cluster begins. `place` is the index of the
   * cluster.
   */
  #byteOf(place: number): number {
    const entry = numberAt(this.#watched.clusters, place) % this.#perBlock;
    return Math.floor((entry * this.#bits) / 8);
  }

  /**
   * Marks the watched clusters with indices `first` to `end - 1` whose refcount is not 1. `bytes` begin with the byte that has the refcount
   * of `first`.
   */
  #markBlock(bytes: Uint8Array, first: number, end: number): void {
    const view = viewOf(bytes);
    const start = this.#byteOf(first);
    for (let place = first; place < end; place++) {
      const at = this.#byteOf(place) - start;
      const refcount = this.#refcountAt(view, at, numberAt(this.#watched.clusters, place));
      if (refcount === 0) this.#watched.markAt(place, FINDING.isFree);
      else if (refcount !== 1) this.#watched.markAt(place, FINDING.isReferredToTwice);
    }
  }

  /**
   * Reads one refcount. Refcounts of less than 8 bits begin at the least significant bit of their byte; longer ones are big-endian (qcow2:
   * Refcounts).
   */
  #refcountAt(view: DataView, at: number, cluster: number): number {
    switch (this.#bits) {
      case 8:
        return view.getUint8(at);
      case 16:
        return view.getUint16(at);
      case 32:
        return view.getUint32(at);
      case 64:
        return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
      default: {
        const perByte = 8 / this.#bits;
        return (view.getUint8(at) >>> ((cluster % perByte) * this.#bits)) & (2 ** this.#bits - 1);
      }
    }
  }
}
