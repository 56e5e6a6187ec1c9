import { itemAt } from "../elements.ts";
import { QdbError, throwFirst } from "../errors.ts";
import { viewOf } from "../layout/fields.ts";
import { MAX_BITMAPS, MAX_TABLE_SIZE } from "../limits.ts";
import { MappedBitmap } from "../maps/mapped-bitmap.ts";
import { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { entryLength } from "../open/bitmap-table.ts";
import { validateEntries } from "../open/entry-rules.ts";
import { geometryOf } from "../open/geometry.ts";
import { extensionSpace } from "../open/header-rules.ts";
import { indexOf, type QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import { BITMAP_ENTRY, BitmapEntry } from "../records/bitmap-entry.ts";
import { KNOWN_AUTOCLEAR } from "../records/features.ts";
import { FULL_HEADER_LENGTH, HEADER, sealHeaderArea } from "../records/header.ts";
import { tlvSize, writeTlv } from "../records/tlv.ts";
import type { BitmapChange } from "./bitmap-change.ts";
import type { BitmapWrites } from "./bitmap-writes.ts";
import { encodeEntry } from "./encode-table.ts";
import type { FreeSpace } from "./free-space.ts";

/** Bitmap table and header of the next generation. */
export interface NextGeneration {
  readonly table: Uint8Array;
  /** File offset of the table in bytes; 0 if there is none. */
  readonly tableOffset: number;
  /** The 4096 bytes of the header area: written to the mirror first, then to the primary. */
  readonly headerArea: Uint8Array;
}

/** Encodes table and header of generation N+1. @throws {QdbError} the code of the rule that a changed entry would break */
export function encodeNextGeneration(
  index: QdbIndex,
  changes: readonly BitmapChange[],
  writes: readonly BitmapWrites[],
  space: FreeSpace,
  { crc32, writerId }: { readonly crc32: Crc32; readonly writerId: Uint8Array },
): NextGeneration {
  const table = encodeTable(changes, writes);
  validateTable(index, changes, table);
  const size = table.length;
  const tableOffset = size === 0 ? 0 : space.allocate(size);
  const header = {
    ...index.header,
    nbBitmaps: changes.length,
    bitmapsOffset: BigInt(tableOffset),
    bitmapsSize: size,
    autoclearFeatures: index.header.autoclearFeatures & KNOWN_AUTOCLEAR,
    generation: index.header.generation + 1n,
    tableChecksum: size === 0 ? 0 : crc32(table),
    writerId,
  };
  const headerArea = new Uint8Array(index.opened.bytes.length);
  HEADER.encode(header, headerArea);
  headerArea.set(index.unknownHeader, FULL_HEADER_LENGTH);
  const [start] = extensionSpace({ form: "full", header, bytes: headerArea, offset: 0 });
  writeTlv(index.extensions, headerArea, start);
  sealHeaderArea(headerArea, crc32);
  return { table, tableOffset, headerArea };
}

/** @throws {QdbError} LIMIT for more bitmaps, or a longer table, than a file can have */
function encodeTable(changes: readonly BitmapChange[], writes: readonly BitmapWrites[]): Uint8Array {
  const size = changes.reduce((sum, change) => sum + encodedLength(change), 0);
  if (changes.length > MAX_BITMAPS || size > MAX_TABLE_SIZE) {
    throw new QdbError(
      "LIMIT",
      `${changes.length} bitmaps with a table of ${size} bytes are too much for one file: ${MAX_BITMAPS} and ${MAX_TABLE_SIZE} bytes are allowed`,
      { structure: "bitmap table" },
    );
  }
  const table = new Uint8Array(size);
  let at = 0;
  for (const [index, change] of changes.entries()) {
    writeEntry(change, itemAt(writes, index), table, at);
    at += encodedLength(change);
  }
  return table;
}

/** Bytes of an entry in the table of the next generation. */
function encodedLength({ from, entry }: BitmapChange): number {
  if (entry !== undefined) return entryLength(tlvSize(entry.extraData), entry.nameBytes.length);
  if (from === undefined) throw new Error("a new bitmap needs an entry");
  return from.entry.length;
}

/** Writes an entry: its new contents or the bytes of this generation, with the fields that say where its data is. */
function writeEntry({ from, entry }: BitmapChange, { fields }: BitmapWrites, table: Uint8Array, at: number): void {
  const before = from?.entry;
  if (entry !== undefined) {
    const current = before?.decodeFields() ?? BITMAP_ENTRY.decode(new Uint8Array(BITMAP_ENTRY.size));
    table.set(encodeEntry(entry, { ...current, ...fields }), at);
  } else if (before !== undefined) {
    table.set(before.bytes, at);
    if (Object.keys(fields).length > 0) BITMAP_ENTRY.encode({ ...before.decodeFields(), ...fields }, table, at);
  }
}

/** Applies the rules of a reader to the new table. */
function validateTable(index: QdbIndex, changes: readonly BitmapChange[], table: Uint8Array): void {
  for (const { entry, problem } of validateEntries(splitEntries(changes, table, 0), index)) {
    if (problem.code !== "INCONSISTENT" && !isCopiedError(itemAt(changes, entry.index), index)) throwFirst(problem);
  }
}

/**
 * Whether an entry in error is copied as it is: this commit did not cause the error. A commit must not bring a copied entry into error
 * by a change of another one, such as a frozen bitmap by a change of its successor.
 */
function isCopiedError({ from, entry, bits, repair }: BitmapChange, index: QdbIndex): boolean {
  if (from === undefined || entry !== undefined || bits !== undefined || repair !== undefined) return false;
  const before = index.problems.get(from.entry.index);
  return before !== undefined && before.code !== "INCONSISTENT";
}

function splitEntries(changes: readonly BitmapChange[], table: Uint8Array, tableOffset: number): BitmapEntry[] {
  let at = 0;
  return changes.map((change, index) => {
    const start = at;
    at += encodedLength(change);
    return new BitmapEntry(index, table, start, tableOffset);
  });
}

/** The index of the file after a commit. Nothing is read: it is made from what was written. */
export function nextIndex(
  before: QdbIndex,
  { table, tableOffset, headerArea }: NextGeneration,
  changes: readonly BitmapChange[],
  fileSize: number,
): QdbIndex {
  const header = HEADER.decode(headerArea);
  const opened = { form: "full" as const, header, bytes: headerArea, offset: 0, primary: { bytes: headerArea } };
  const entries = splitEntries(changes, table, tableOffset);
  return indexOf(opened, geometryOf(header, "full", fileSize), before.extensions, { bytes: table, entries });
}

/** The bitmaps of the file after a commit of a file without damaged bitmaps. Nothing is read. */
export function nextMapped(
  index: QdbIndex,
  changes: readonly BitmapChange[],
  writes: readonly BitmapWrites[],
  crc32: Crc32,
): MappedBitmap[] {
  const context = { form: index.form, clusterSize: index.clusterSize, crc32 };
  return index.table.entries.map((entry): MappedBitmap => {
    const { l1Area } = itemAt(writes, entry.index);
    const { from } = itemAt(changes, entry.index);
    const map =
      l1Area === undefined ? from?.map?.withEntry(entry) : new QdbClusterMap(entry, viewOf(l1Area), 0, context);
    if (map === undefined) throw new Error("a commit stored a bitmap without an L1 area");
    return new MappedBitmap(index, entry, map);
  });
}
