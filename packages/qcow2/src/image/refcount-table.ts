import { type ByteRange, QdbError } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { NumberList } from "@qdb/format/internal";
import { headerError, headerWhere, type Qcow2Header } from "./header.ts";
import { MAX_REFCOUNT_TABLE_SIZE } from "./limits.ts";
import { OffsetTable } from "./offset-table.ts";
import type { StructureReader } from "./structure-reader.ts";

/** Maximum value of `refcount_order`: refcounts of 64 bits. */
const MAX_REFCOUNT_ORDER = 6;
/** Length of a refcount table entry in bytes. */
export const REFCOUNT_TABLE_ENTRY_SIZE = 8;

/** The width of refcounts and the number of them in a block. */
export interface RefcountGeometry {
  /** A refcount has 1 << order bits. */
  readonly order: number;
  /** Number of refcounts in a refcount block. */
  readonly perBlock: number;
  /** Bytes per cluster, and per refcount block. */
  readonly clusterSize: number;
}

/** Returns the geometry of the refcounts of an image. @throws {QdbError} BAD_FIELD for an impossible refcount_order */
export function refcountGeometry({ refcountOrder, clusterBits }: Qcow2Header): RefcountGeometry {
  if (refcountOrder > MAX_REFCOUNT_ORDER) {
    throw headerError(
      "refcountOrder",
      "BAD_FIELD",
      `refcount_order is ${refcountOrder}, allowed are 0 to ${MAX_REFCOUNT_ORDER}; no refcount can be read`,
    );
  }
  return { order: refcountOrder, perBlock: 2 ** (clusterBits + 3 - refcountOrder), clusterSize: 2 ** clusterBits };
}

/** Returns the range of the refcount table in the file. */
export function refcountTableRange({
  refcountTableOffset,
  refcountTableClusters,
  clusterBits,
}: Qcow2Header): ByteRange {
  return { offset: Number(refcountTableOffset), length: refcountTableClusters * 2 ** clusterBits };
}

/**
 * Reads the refcount table, and calls `visit` for each entry with the index and the file offset of its block, which is 0 if there is no
 * block, and with the file offset of the entry.
 * @throws {QdbError} BAD_FIELD, LIMIT, MISALIGNED or OUT_OF_BOUNDS if the table cannot be read; OVERLAP as {@link StructureReader}
 */
export function* readRefcountTable(
  header: Qcow2Header,
  reader: StructureReader,
  visit: (block: number, offset: number, entryOffset: number) => void,
): Plan<void> {
  const { offset, length } = refcountTableRange(header);
  const clusterSize = 2 ** header.clusterBits;
  const where = headerWhere("refcountTableOffset");
  const what = "the refcount table";
  if (offset === 0) throw headerError("refcountTableOffset", "BAD_FIELD", `the offset of ${what} is 0`);
  if (offset % clusterSize !== 0) {
    const message = `${what} is at ${offset}, no multiple of the cluster size ${clusterSize}`;
    throw headerError("refcountTableOffset", "MISALIGNED", message);
  }
  if (length > MAX_REFCOUNT_TABLE_SIZE) {
    const message = `${what} has ${length} bytes, at most ${MAX_REFCOUNT_TABLE_SIZE} are read`;
    throw headerError("refcountTableClusters", "LIMIT", message);
  }
  let block = 0;
  yield* reader.readPieces({ offset, length, what, where }, (bytes, piece) => {
    const entries = new OffsetTable(bytes);
    for (let entry = 0; entry < entries.count; entry++, block++) {
      // In the refcount table the offset is bits 9-63, not 9-55 as in the other tables.
      const blockOffset = entries.high(entry) * 2 ** 32 + entries.low(entry) - (entries.low(entry) % 512);
      visit(block, blockOffset, piece.offset + entry * REFCOUNT_TABLE_ENTRY_SIZE);
    }
  });
}

/** Refuses a refcount block that does not begin at a cluster boundary. @throws {QdbError} MISALIGNED */
export function requireAlignedBlock(block: number, offset: number, entryOffset: number, clusterSize: number): void {
  if (offset % clusterSize === 0) return;
  const message = `refcount block ${block} is at ${offset}, no multiple of the cluster size ${clusterSize}`;
  throw new QdbError("MISALIGNED", message, { structure: "refcount table entry", offset: entryOffset });
}

/** Returns the file offsets of all refcount blocks, 0 for those that are not there. @throws {QdbError} as {@link readRefcountTable}; MISALIGNED for a block inside a cluster */
export function* readBlockOffsets(header: Qcow2Header, reader: StructureReader): Plan<Float64Array> {
  const offsets = new NumberList();
  yield* readRefcountTable(header, reader, (block, offset, entryOffset) => {
    requireAlignedBlock(block, offset, entryOffset, 2 ** header.clusterBits);
    offsets.push(offset);
  });
  return offsets.array();
}

/**
 * Returns a refcount. `entry` is counted from the first one in the view. Refcounts of less than 8 bits begin at the least significant bit of
 * their byte; longer ones are big-endian (qcow2: Refcounts).
 */
export function getRefcount(view: DataView, entry: number, order: number): number {
  switch (order) {
    case 3:
      return view.getUint8(entry);
    case 4:
      return view.getUint16(entry * 2);
    case 5:
      return view.getUint32(entry * 4);
    case 6:
      return view.getUint32(entry * 8) * 2 ** 32 + view.getUint32(entry * 8 + 4);
    default: {
      const bit = entry * 2 ** order;
      return (view.getUint8(bit >>> 3) >>> (bit & 7)) & (2 ** (2 ** order) - 1);
    }
  }
}

/** Sets a refcount to 0 or 1. See {@link getRefcount}. */
export function setRefcount(view: DataView, entry: number, order: number, value: 0 | 1): void {
  if (order === 3) view.setUint8(entry, value);
  else if (order === 4) view.setUint16(entry * 2, value);
  else if (order === 5) view.setUint32(entry * 4, value);
  else if (order === 6) view.setBigUint64(entry * 8, BigInt(value));
  else {
    const bit = entry * 2 ** order;
    const others = view.getUint8(bit >>> 3) & ~((2 ** (2 ** order) - 1) << (bit & 7));
    view.setUint8(bit >>> 3, others | (value << (bit & 7)));
  }
}
