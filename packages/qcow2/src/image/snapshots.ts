import type { ByteRange } from "@qdb/format";
import { align8, type Plan, struct, u16, u32, u64 } from "@qdb/format/container";
import { headerError, headerWhere, type Qcow2Header } from "./header.ts";
import { MAX_SNAPSHOTS } from "./limits.ts";
import type { Reference, StructureReader } from "./structure-reader.ts";
import { FINDING, type WatchedClusters } from "./watched-clusters.ts";

/**
 * Fixed part of an entry of the snapshot table, 40 bytes (qcow2: Snapshots). The extra data, the id, the name and padding to a multiple of
 * 8 follow it.
 */
export const SNAPSHOT = struct("snapshot table entry", 40, {
  /** File offset of the snapshot's L1 table in bytes. */
  l1TableOffset: [0, u64],
  /** Entries of the snapshot's L1 table. */
  l1Size: [8, u32],
  /** Length of the id in bytes. */
  idSize: [12, u16],
  /** Length of the name in bytes. */
  nameSize: [14, u16],
  /** When it was taken, in seconds. */
  dateSec: [16, u32],
  /** When it was taken, in nanoseconds. */
  dateNsec: [20, u32],
  /** How long the guest had run, in nanoseconds. */
  vmClock: [24, u64],
  /** Length of the state of the guest in bytes. */
  vmStateSize: [32, u32],
  /** Length of the extra data in bytes. */
  extraDataSize: [36, u32],
});

/** Maximum number of bytes of the snapshot table that are read in one round. */
const ROUND = 64 * 1024;

/**
 * Walks the snapshot table, marks the watched clusters where the table lies, and returns the L1 tables of the snapshots.
 * @throws {QdbError} LIMIT for too many snapshots; OUT_OF_BOUNDS if the table runs past the end of the file; OVERLAP as {@link
 * StructureReader}
 */
export function* markSnapshots(
  header: Qcow2Header,
  watched: WatchedClusters,
  reader: StructureReader,
): Plan<readonly Reference[]> {
  const { nbSnapshots } = header;
  if (nbSnapshots > MAX_SNAPSHOTS)
    throw headerError("nbSnapshots", "LIMIT", `nb_snapshots is ${nbSnapshots}, at most ${MAX_SNAPSHOTS} are read`);
  const start = Number(header.snapshotsOffset);
  const tables: Reference[] = [];
  let at = start;
  while (tables.length < nbSnapshots) {
    // Each remaining entry has at least 40 bytes, so nothing past the end of the table is read.
    const length = Math.min((nbSnapshots - tables.length) * SNAPSHOT.size, ROUND);
    const window = { offset: at, length, what: "the snapshot table", where: headerWhere("snapshotsOffset") };
    reader.requireInside(window);
    yield* reader.readEach([window], (bytes) => {
      at = takeEntries(bytes, window, nbSnapshots, tables);
    });
  }
  watched.mark({ offset: start, length: at - start }, FINDING.snapshotTable);
  return tables;
}

/** Adds the L1 tables of the entries whose fixed part lies in a window to `tables`. Returns the file offset of the next entry. */
function takeEntries(bytes: Uint8Array, { offset }: ByteRange, count: number, tables: Reference[]): number {
  let at = 0;
  while (tables.length < count && at + SNAPSHOT.size <= bytes.length) {
    const { l1TableOffset, l1Size, idSize, nameSize, extraDataSize } = SNAPSHOT.decode(bytes, at);
    const where = { structure: SNAPSHOT.name, field: "l1_table_offset", offset: offset + at };
    tables.push({ offset: Number(l1TableOffset), length: l1Size * 8, what: "the L1 table of a snapshot", where });
    at = align8(at + SNAPSHOT.size + extraDataSize + idSize + nameSize);
  }
  return offset + at;
}
