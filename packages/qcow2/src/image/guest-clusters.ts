import { type ByteRange, QdbError } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { NumberList } from "@qdb/format/internal";
import { headerWhere, INCOMPATIBLE, type Qcow2Header } from "./header.ts";
import { MAX_L1_SIZE } from "./limits.ts";
import { OffsetTable } from "./offset-table.ts";
import { markSnapshots } from "./snapshots.ts";
import type { Reference, StructureReader } from "./structure-reader.ts";
import { FINDING, type WatchedClusters } from "./watched-clusters.ts";

/** Bit 62 of an L2 entry: the cluster is compressed (qcow2: Cluster mapping). */
const COMPRESSED_HIGH = 0x40000000;
/** Number of bytes of a sector: the size of a compressed cluster is given in sectors. */
const SECTOR = 512;

/**
 * Marks the watched clusters that the snapshots and the data of the guest use: L1 tables of snapshots, L2 tables, and the data clusters
 * that L2 tables refer to. If guest data is in an external file, data clusters are not marked.
 * @throws {QdbError} MISALIGNED, OUT_OF_BOUNDS or LIMIT if a structure cannot be read; OVERLAP as {@link StructureReader}
 */
export function* markGuestClusters(header: Qcow2Header, watched: WatchedClusters, reader: StructureReader): Plan<void> {
  const clusterSize = 2 ** header.clusterBits;
  const active: Reference = {
    offset: Number(header.l1TableOffset),
    length: header.l1Size * 8,
    what: "the L1 table",
    where: headerWhere("l1TableOffset"),
  };
  const offsets = new NumberList();
  yield* readL1(active, offsets, clusterSize, reader);
  for (const table of yield* markSnapshots(header, watched, reader)) {
    yield* readL1(table, offsets, clusterSize, reader);
    watched.mark(table, FINDING.snapshotL1Table);
  }
  const tables = offsets.array().sort();
  for (const offset of tables) watched.mark({ offset, length: clusterSize }, FINDING.l2Table);
  if ((header.incompatibleFeatures & INCOMPATIBLE.externalDataFile) !== 0n) return;
  const marker = new DataMarker(header, watched);
  yield* reader.readEach(l2Tables(tables, clusterSize, reader), (bytes) => marker.markTable(bytes));
}

/**
 * Adds the file offsets of the L2 tables that an L1 table refers to to `offsets`.
 * @throws {QdbError} LIMIT if the L1 table is too long; MISALIGNED for an offset inside a cluster; OUT_OF_BOUNDS if the L1 table runs past
 * the end of the file
 */
function* readL1(table: Reference, offsets: NumberList, clusterSize: number, reader: StructureReader): Plan<void> {
  if (table.length > MAX_L1_SIZE) {
    const message = `${table.what} has ${table.length} bytes, at most ${MAX_L1_SIZE} are read`;
    throw new QdbError("LIMIT", message, table.where);
  }
  yield* reader.readPieces(table, (bytes, piece) => {
    const entries = new OffsetTable(bytes);
    for (let entry = 0; entry < entries.count; entry++) {
      const offset = entries.offset(entry);
      if (offset === 0) continue;
      if (offset % clusterSize !== 0) {
        const message = `an L2 table is at ${offset}, no multiple of the cluster size ${clusterSize}`;
        throw new QdbError("MISALIGNED", message, { structure: "L1 table entry", offset: piece.offset + entry * 8 });
      }
      offsets.push(offset);
    }
  });
}

/**
 * Yields the L2 tables to read, each once, because snapshots share most of their L2 tables with the image. `sorted` are their file offsets.
 * @throws {QdbError} OUT_OF_BOUNDS for a table past the end of the file
 */
function* l2Tables(sorted: Float64Array, clusterSize: number, reader: StructureReader): Generator<ByteRange, void> {
  let last = 0;
  for (const offset of sorted) {
    if (offset === last) continue;
    last = offset;
    const table = { offset, length: clusterSize };
    reader.requireInside({ ...table, what: "an L2 table", where: { structure: "L2 table", offset } });
    yield table;
  }
}

/** Marks the watched clusters that the entries of L2 tables refer to as guest data. */
class DataMarker {
  readonly #watched: WatchedClusters;
  readonly #clusterSize: number;
  readonly #entrySize: number;
  /** Number of bits of the offset that are in the high 32 bits of a compressed entry. */
  readonly #offsetBits: number;

  constructor({ clusterBits, incompatibleFeatures }: Qcow2Header, watched: WatchedClusters) {
    this.#watched = watched;
    this.#clusterSize = 2 ** clusterBits;
    this.#entrySize = (incompatibleFeatures & INCOMPATIBLE.extendedL2) === 0n ? 8 : 16;
    this.#offsetBits = 62 - (clusterBits - 8) - 32;
  }

  markTable(bytes: Uint8Array): void {
    const entries = new OffsetTable(bytes, this.#entrySize);
    for (let entry = 0; entry < entries.count; entry++) {
      const high = entries.high(entry);
      const low = entries.low(entry);
      if ((high & COMPRESSED_HIGH) !== 0) this.#markCompressed(high, low);
      else if (low !== 0 || high !== 0) this.#markStandard(entries.offset(entry));
    }
  }

  /** A cluster that reads as zeros can have an offset too (a preallocation), and is marked like any other. */
  #markStandard(offset: number): void {
    if (offset === 0) return;
    // A division is much faster here than `%`. It is exact, because the cluster size is a power of two.
    const cluster = offset / this.#clusterSize;
    if (Math.floor(cluster) === cluster) this.#watched.markCluster(cluster, FINDING.guestData);
    else this.#watched.mark({ offset, length: this.#clusterSize }, FINDING.guestData);
  }

  /**
   * A compressed cluster can begin at any byte. It extends to the end of the sector where it begins, plus as many further sectors as its
   * entry says.
   */
  #markCompressed(high: number, low: number): void {
    const offset = (high & (2 ** this.#offsetBits - 1)) * 2 ** 32 + low;
    const sectors = (high & (COMPRESSED_HIGH - 1)) >>> this.#offsetBits;
    const end = (Math.floor(offset / SECTOR) + 1 + sectors) * SECTOR;
    this.#watched.mark({ offset, length: end - offset }, FINDING.guestData);
  }
}
