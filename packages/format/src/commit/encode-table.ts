import { itemAt } from "../elements.ts";
import { QdbError, throwFirst } from "../errors.ts";
import { MAX_TABLE_SIZE } from "../limits.ts";
import { entryLength } from "../open/bitmap-table.ts";
import { validateEntries } from "../open/entry-rules.ts";
import type { FileGeometry } from "../open/geometry.ts";
import { BITMAP_ENTRY, BitmapEntry } from "../records/bitmap-entry.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import { tlvSize, writeTlv } from "../records/tlv.ts";
import type { DataFields } from "./bitmap-writes.ts";

/** Returns the length of the bitmap table of a new file, in bytes. @throws {QdbError} LIMIT if it is above 64 MiB */
export function tableSizeOf(entries: readonly EntryContents[]): number {
  const size = entries.reduce(
    (sum, { extraData, nameBytes }) => sum + entryLength(tlvSize(extraData), nameBytes.length),
    0,
  );
  if (size <= MAX_TABLE_SIZE) return size;
  throw new QdbError("LIMIT", `the bitmap table would take ${size} bytes, at most ${MAX_TABLE_SIZE} are allowed`);
}

/**
 * Encodes the bitmap table of a new file, and applies the rules of a reader to it. `fields` has the data fields of each entry, in the order
 * of `contents`.
 * @throws {QdbError} LIMIT if the table is too long; else the code of the first rule that an entry breaks (see `validateEntries`)
 */
export function encodeTable(
  contents: readonly EntryContents[],
  fields: readonly DataFields[],
  geometry: FileGeometry,
): Uint8Array {
  const table = new Uint8Array(tableSizeOf(contents));
  const entries: BitmapEntry[] = [];
  let at = 0;
  for (const [index, entry] of contents.entries()) {
    const bytes = encodeEntry(entry, itemAt(fields, index));
    table.set(bytes, at);
    entries.push(new BitmapEntry(index, table, at, 0));
    at += bytes.length;
  }
  for (const { problem } of validateEntries(entries, geometry)) {
    // A bitmap with the flag in_use is INCONSISTENT to a reader, but it may be written.
    if (problem.code !== "INCONSISTENT") throwFirst(problem);
  }
  return table;
}

/** Encodes a table entry, padding included. */
export function encodeEntry({ nameBytes, flags, extraData }: EntryContents, fields: DataFields): Uint8Array {
  const extraDataSize = tlvSize(extraData);
  const bytes = new Uint8Array(entryLength(extraDataSize, nameBytes.length));
  // A name that is longer than a u16 can hold is refused when the rules of the entry are applied.
  const nameSize = Math.min(nameBytes.length, 0xffff);
  const { l1TableOffset, l1Size, granularity, size, l1Checksum } = fields;
  BITMAP_ENTRY.encode(
    { l1TableOffset, l1Size, granularity, size, flags, nameSize, l1Checksum, reserved: 0, extraDataSize },
    bytes,
  );
  bytes.set(nameBytes, writeTlv(extraData, bytes, BITMAP_ENTRY.size));
  return bytes;
}
