import { type ByteRange, type Plan, QdbError } from "@qdb/format";
import { numberAt, viewOf } from "@qdb/format/internal";
import { headerError, headerWhere, INCOMPATIBLE, type Qcow2Header } from "./header.ts";
import { MAX_REFCOUNT_TABLE_SIZE } from "./limits.ts";
import { NumberList } from "./numbers.ts";
import type { StructureReader } from "./reader.ts";
import { TableEntries } from "./table-entries.ts";
import { FINDING, type WatchedClusters } from "./watched-clusters.ts";

/** Largest `refcount_order`: a refcount has 64 bits then. */
const MAX_REFCOUNT_ORDER = 6;
/** Length of a refcount table entry in bytes. */
const ENTRY_SIZE = 8;

/**
 * The refcounts of watched clusters, each of which must be 1. The refcount table is read whole, since watched clusters may be
 * blocks of it; of the blocks only what stands about watched clusters.
 */
export class Refcounts {
  readonly #header: Qcow2Header;
  readonly #watched: WatchedClusters;
  readonly #reader: StructureReader;
  readonly #clusterSize: number;
  /** Clusters whose refcounts are in one block. */
  readonly #perBlock: number;
  /** Of each block that is needed: its file offset, the place of its first watched cluster, the place behind its last one. */
  readonly #needed = new NumberList();
  /** Place of the first watched cluster whose block was not looked for yet. */
  #next = 0;

  /** @throws {QdbError} BAD_FIELD */
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
   * Notes which watched clusters are refcount blocks and whose refcount is not 1. Where the image's dirty bit says that refcounts
   * are stale (lazy refcounts), they are not read.
   * @throws {QdbError} BAD_FIELD, LIMIT, MISALIGNED, OUT_OF_BOUNDS when a refcount cannot be found; OVERLAP as {@link StructureReader}
   */
  *mark(): Plan<void> {
    yield* this.#readTable();
    if ((this.#header.incompatibleFeatures & INCOMPATIBLE.dirty) !== 0n) return;
    // Behind the last block, refcounts are 0.
    for (; this.#next < this.#watched.clusters.length; this.#next++) this.#watched.markAt(this.#next, FINDING.isFree);
    const needed = this.#needed.toArray();
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
      const entries = new TableEntries(bytes);
      for (let entry = 0; entry < entries.count; entry++, block++) {
        // All of bits 9-63 are the offset here.
        const blockOffset = entries.high(entry) * 2 ** 32 + entries.low(entry) - (entries.low(entry) % 512);
        if (blockOffset !== 0)
          this.#watched.mark({ offset: blockOffset, length: this.#clusterSize }, FINDING.refcountBlock);
        this.#noteBlock(block, blockOffset, piece.offset + entry * ENTRY_SIZE);
      }
    });
  }

  /** Notes which part of a block is needed. @throws {QdbError} MISALIGNED */
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

  /** The parts of blocks to be read. @throws {QdbError} OUT_OF_BOUNDS */
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

  /** Bits of a refcount. */
  get #bits(): number {
    return 2 ** this.#header.refcountOrder;
  }

  /** Where in its block the refcount of a watched cluster begins, in whole bytes. */
  #byteOf(place: number): number {
    const entry = numberAt(this.#watched.clusters, place) % this.#perBlock;
    return Math.floor((entry * this.#bits) / 8);
  }

  /** Looks at the refcounts of the watched clusters from place `first` on to before `end`; the bytes begin with that of `first`. */
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

  /** Several refcounts in a byte begin with its least significant bits; wider ones are big-endian (qcow2: Refcounts). */
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
