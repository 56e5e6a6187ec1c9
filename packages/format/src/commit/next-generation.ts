import { QdbError, throwFirst } from "../errors.ts";
import { MAX_BITMAPS, MAX_TABLE_SIZE } from "../limits.ts";
import type { MappedBitmap } from "../maps/load-maps.ts";
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
import { L1Area } from "../records/l1.ts";
import { tlvSize, writeTlv } from "../records/tlv.ts";
import type { BitmapChange } from "./bitmap-change.ts";
import type { BitmapWrites } from "./bitmap-writes.ts";
import type { FreeSpace } from "./free-space.ts";
import { encodeEntry } from "./whole-file.ts";

/** What a commit writes beside the bits. */
export interface NextGeneration {
  readonly table: Uint8Array;
  /** File offset of the table, 0 when there is none. */
  readonly tableOffset: number;
  /** The header area: mirror first, then primary. */
  readonly area: Uint8Array;
}

/** Bytes of an entry of the next generation. */
function lengthOf({ from, entry }: BitmapChange): number {
  if (entry !== undefined) return entryLength(tlvSize(entry.extraData), entry.nameBytes.length);
  if (from === undefined) throw new Error("a new bitmap needs an entry");
  return from.entry.length;
}

/** Writes an entry: this generation's bytes, or what it is to say, with its place where that is new. */
function writeEntry({ from, entry }: BitmapChange, { place }: BitmapWrites, table: Uint8Array, at: number): void {
  const before = from?.entry;
  if (entry !== undefined) {
    const fields = before?.fields ?? BITMAP_ENTRY.decode(new Uint8Array(BITMAP_ENTRY.size));
    table.set(encodeEntry(entry, { ...fields, ...place }), at);
  } else if (before !== undefined) {
    table.set(before.bytes, at);
    if (place !== undefined)
      BITMAP_ENTRY.encode({ ...before.fields, ...place }, table.subarray(at, at + BITMAP_ENTRY.size));
  }
}

/**
 * Whether an entry was in error before, and is copied: what breaks a rule in it is no mistake of this commit. An entry may not come
 * into error by what a commit does to others: a frozen one by its successor's change.
 */
function isCopiedError({ from, entry, bits, mend }: BitmapChange, index: QdbIndex): boolean {
  if (from === undefined || entry !== undefined || bits !== undefined || mend !== undefined) return false;
  const before = index.problems.get(from.entry.index);
  return before !== undefined && before.code !== "INCONSISTENT";
}

/** Builds table and header area of generation N+1. @throws {QdbError} the code of the rule that a changed entry would break */
export function encodeNextGeneration(
  index: QdbIndex,
  bitmaps: readonly BitmapChange[],
  placed: readonly BitmapWrites[],
  space: FreeSpace,
  { crc32, writerId }: { readonly crc32: Crc32; readonly writerId: Uint8Array },
): NextGeneration {
  const size = bitmaps.reduce((sum, next) => sum + lengthOf(next), 0);
  refuseTooMuch(bitmaps.length, size);
  const table = new Uint8Array(size);
  let at = 0;
  for (const [position, next] of bitmaps.entries()) {
    writeEntry(next, placed[position] ?? {}, table, at);
    at += lengthOf(next);
  }
  validateNext(index, bitmaps, table);
  const tableOffset = size === 0 ? 0 : space.allocate(size);
  const header = {
    ...index.header,
    nbBitmaps: bitmaps.length,
    bitmapsOffset: BigInt(tableOffset),
    bitmapsSize: size,
    autoclearFeatures: index.header.autoclearFeatures & KNOWN_AUTOCLEAR,
    generation: index.header.generation + 1n,
    tableChecksum: size === 0 ? 0 : crc32(table),
    writerId,
  };
  const area = new Uint8Array(index.opened.bytes.length);
  HEADER.encode(header, area);
  area.set(index.unknownHeader, FULL_HEADER_LENGTH);
  const [start] = extensionSpace({ form: "full", header, bytes: area, offset: 0 });
  writeTlv(index.extensions, area, start);
  sealHeaderArea(area, crc32);
  return { table, tableOffset, area };
}

/** @throws {QdbError} LIMIT for more bitmaps, or a longer table, than a file can have */
function refuseTooMuch(bitmaps: number, tableSize: number): void {
  if (bitmaps <= MAX_BITMAPS && tableSize <= MAX_TABLE_SIZE) return;
  throw new QdbError(
    "LIMIT",
    `${bitmaps} bitmaps with a table of ${tableSize} bytes are too much for one file: ${MAX_BITMAPS} and ${MAX_TABLE_SIZE} bytes are allowed`,
    { structure: "bitmap table" },
  );
}

/** The rules that readers use, on what is about to be written. */
function validateNext(index: QdbIndex, bitmaps: readonly BitmapChange[], table: Uint8Array): void {
  for (const { entry, problem } of validateEntries(splitEntries(bitmaps, table, 0), index)) {
    const next = bitmaps[entry.index];
    if (problem.code !== "INCONSISTENT" && next !== undefined && !isCopiedError(next, index)) throwFirst(problem);
  }
}

function splitEntries(bitmaps: readonly BitmapChange[], table: Uint8Array, tableOffset: number): BitmapEntry[] {
  let at = 0;
  return bitmaps.map((next, index) => {
    const start = at;
    at += lengthOf(next);
    return new BitmapEntry(index, table, start, tableOffset);
  });
}

/** Header and table as they are once a commit is done, from what was written. */
export function nextIndex(
  before: QdbIndex,
  next: NextGeneration,
  bitmaps: readonly BitmapChange[],
  fileSize: number,
): QdbIndex {
  const header = HEADER.decode(next.area);
  const opened = { form: "full" as const, header, bytes: next.area, offset: 0, primary: { bytes: next.area } };
  const table = { bytes: next.table, entries: splitEntries(bitmaps, next.table, next.tableOffset) };
  return indexOf(opened, geometryOf(header, "full", fileSize), before.extensions, table);
}

/** The bitmaps as they are once a commit is done, from what was written. */
export function nextMapped(
  index: QdbIndex,
  bitmaps: readonly BitmapChange[],
  placed: readonly BitmapWrites[],
  crc32: Crc32,
): MappedBitmap[] {
  return index.table.entries.map((entry): MappedBitmap => {
    const { from, bits } = bitmaps[entry.index] ?? {};
    const area = placed[entry.index]?.area ?? from?.map?.area.bytes;
    const problem = index.problems.get(entry.index) ?? (bits === undefined ? from?.problem : undefined);
    if (area === undefined) return { entry, map: undefined, problem };
    const { l1Size, l1TableOffset } = entry.fields;
    return {
      entry,
      map: new QdbClusterMap(entry, new L1Area(area, l1Size, "full"), Number(l1TableOffset), index.clusterSize, crc32),
      problem: index.problems.get(entry.index),
    };
  });
}
