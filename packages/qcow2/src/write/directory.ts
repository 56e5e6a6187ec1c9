import { QdbError } from "@qdb/format";
import { align8, type EntryContents, FLAG } from "@qdb/format/container";
import { MAX_BITMAPS } from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import { BITMAP_FLAG, DIRECTORY_ENTRY, DIRTY_TRACKING } from "../bitmaps/directory-entry.ts";
import { MAX_DIRECTORY_SIZE } from "../image/limits.ts";

/** Where the table of a bitmap is, and the granularity of its bits. */
export interface StoredTable {
  /** File offset in bytes. */
  readonly offset: number;
  /** Number of entries. */
  readonly count: number;
  /** Bytes per bit. */
  readonly granularity: number;
}

/** A bitmap as it is to be in the new directory. */
export interface DirectoryBitmap {
  /** The bitmap in the file; undefined for a new one, which has `entry` and `table`. */
  readonly from?: Qcow2Bitmap | undefined;
  /** New name and flags; undefined if they stay. */
  readonly entry?: EntryContents | undefined;
  /** The table that was stored for it; undefined if it keeps its own. */
  readonly table?: StoredTable | undefined;
  /** Whether its bits are outdated: then it gets the flag in_use. */
  readonly isOutdated: boolean;
}

/**
 * Encodes a bitmap directory (qcow2: Bitmap directory).
 * @throws {QdbError} LIMIT for too many bitmaps, or too long a directory
 */
export function encodeDirectory(bitmaps: readonly DirectoryBitmap[]): Uint8Array {
  const entries = bitmaps.map(encodeEntry);
  const length = entries.reduce((sum, bytes) => sum + bytes.length, 0);
  if (bitmaps.length > MAX_BITMAPS || length > MAX_DIRECTORY_SIZE) {
    const message = `${bitmaps.length} bitmaps with a directory of ${length} bytes are too much for one image: ${MAX_BITMAPS} and ${MAX_DIRECTORY_SIZE} bytes are allowed`;
    throw new QdbError("LIMIT", message, { structure: "bitmap directory" });
  }
  const directory = new Uint8Array(length);
  let at = 0;
  for (const bytes of entries) {
    directory.set(bytes, at);
    at += bytes.length;
  }
  return directory;
}

function encodeEntry({ from, entry, table, isOutdated }: DirectoryBitmap): Uint8Array {
  const bytes = entry === undefined ? from?.bytes.slice() : withName(entry.nameBytes);
  if (bytes === undefined) throw new Error("a new bitmap needs an entry");
  const before = from?.fields ?? DIRECTORY_ENTRY.decode(new Uint8Array(DIRECTORY_ENTRY.size));
  const { flags, nameSize, extraDataSize } = entry === undefined ? before : fieldsOf(entry);
  DIRECTORY_ENTRY.encode(
    {
      ...before,
      ...(table === undefined
        ? {}
        : {
            bitmapTableOffset: BigInt(table.offset),
            bitmapTableSize: table.count,
            granularityBits: Math.log2(table.granularity),
          }),
      flags: isOutdated ? flags | BITMAP_FLAG.inUse : flags,
      type: from === undefined ? DIRTY_TRACKING : before.type,
      nameSize,
      extraDataSize,
    },
    bytes,
  );
  return bytes;
}

function fieldsOf({ nameBytes, flags }: EntryContents): {
  readonly flags: number;
  readonly nameSize: number;
  readonly extraDataSize: number;
} {
  const auto = (flags & FLAG.enabled) === 0 ? 0 : BITMAP_FLAG.auto;
  const inUse = (flags & FLAG.in_use) === 0 ? 0 : BITMAP_FLAG.inUse;
  return { flags: auto | inUse, nameSize: nameBytes.length, extraDataSize: 0 };
}

function withName(name: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(align8(DIRECTORY_ENTRY.size + name.length));
  bytes.set(name, DIRECTORY_ENTRY.size);
  return bytes;
}
