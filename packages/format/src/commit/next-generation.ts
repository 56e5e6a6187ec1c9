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

/** Bitmap table and header area of the generation that a commit writes. */
export interface NextGeneration {
  readonly table: Uint8Array;
  /** File offset of the table in bytes; 0 if the file has no bitmaps. */
  readonly tableOffset: number;
  /** The 4096 bytes of the header area. They are written to the mirror first, then to the primary. */
  readonly headerArea: Uint8Array;
}

/**
 * Encodes bitmap table and header area of generation N+1. `index` is that of generation N.
 * @throws {QdbError} LIMIT if the table is too long or no space is free for it; else the code of the first rule that a changed entry breaks
 */
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

/** Encodes the bitmap table. @throws {QdbError} LIMIT if there are more bitmaps than a file can have, or if the table is too long */
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

/** Returns the length in bytes of the entry that a change writes to the new table. */
function encodedLength({ from, entry }: BitmapChange): number {
  if (entry !== undefined) return entryLength(tlvSize(entry.extraData), entry.nameBytes.length);
  if (from === undefined) throw new Error("a new bitmap needs an entry");
  return from.entry.length;
}

/**
 * Writes a table entry at offset `at` of the new table: the new contents of the change or, without new contents, a copy of the entry of
 * generation N. The data fields (place of the L1 area, size, checksum) are overwritten with `fields`.
 */
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

/**
 * Applies the rules of a reader to the new table.
 * @throws {QdbError} the code of the first rule that an entry breaks, unless the entry is a copy that broke a rule before
 */
function validateTable(index: QdbIndex, changes: readonly BitmapChange[], table: Uint8Array): void {
  for (const { entry, problem } of validateEntries(splitEntries(changes, table, 0), index)) {
    if (problem.code !== "INCONSISTENT" && !isCopiedError(itemAt(changes, entry.index), index)) throwFirst(problem);
  }
}

/**
 * Whether a change copies an entry that broke a rule before. This commit did not cause that error, so the entry may be written. An entry
 * that broke no rule before must not break one now: a change of a successor, for example, can bring the frozen bitmap that names the
 * successor into error.
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

/** Returns the index of the file after a commit. It is made from the bytes that were written; nothing is read. */
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

/**
 * Returns the bitmaps of the file after a commit. It is only for a file without damaged bitmaps and a commit without repairs: the maps are
 * made from the L1 areas that were written, and nothing is read.
 */
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
