import { type Problem, QdbError } from "../errors.ts";
import { align8, fileOffset } from "../layout/numbers.ts";
import { MAX_TABLE_SIZE } from "../limits.ts";
import type { Crc32 } from "../ports/digest.ts";
import { type Plan, read, readEach } from "../ports/plan.ts";
import { BITMAP_ENTRY, BitmapEntry, entryProblem } from "../records/bitmap-entry.ts";
import type { Header } from "../records/header.ts";
import { l1AreaSize } from "../records/l1.ts";
import type { FileGeometry, Reference } from "./geometry.ts";

/** A draft's table has no announced length: it is read in pieces of at least this many bytes. */
const DRAFT_STEP = 32 * 1024;

/** The bitmap table and its entries. */
export interface BitmapTable {
  /** Bytes of the entries, exactly. */
  readonly bytes: Uint8Array;
  readonly entries: readonly BitmapEntry[];
}

function tableProblem(code: Problem["code"], message: string, offset: number, field?: string): Problem {
  return { code, message, where: { structure: "bitmap table", offset, ...(field === undefined ? {} : { field }) } };
}

/** Bytes of the entry that starts at `at`, padding included; undefined when the bytes end inside it. */
function lengthAt(bytes: Uint8Array, at: number): number | undefined {
  const left = bytes.length - at;
  if (left < BITMAP_ENTRY.size) return undefined;
  const { nameSize, extraDataSize } = BITMAP_ENTRY.decode(bytes, at);
  const length = entryLength(extraDataSize, nameSize);
  return length <= left ? length : undefined;
}

function splitTable(bytes: Uint8Array, starts: readonly number[], offset: number): BitmapTable {
  return { bytes, entries: starts.map((start, index) => new BitmapEntry(index, bytes, start, offset)) };
}

/**
 * Reads and walks the bitmap table. What breaks the walk is an error of the file.
 * @throws {QdbError} BAD_CHECKSUM, OUT_OF_BOUNDS, BAD_FIELD, LIMIT
 */
export function* readTable(
  header: Header,
  geometry: FileGeometry,
  crc32: Crc32,
  known?: Uint8Array,
): Plan<BitmapTable> {
  if (header.nbBitmaps === 0) return { bytes: new Uint8Array(0), entries: [] };
  const offset = fileOffset(header.bitmapsOffset);
  if (geometry.form === "draft") return yield* readDraftTable(header.nbBitmaps, offset, geometry);
  let bytes = known;
  if (bytes === undefined) [bytes] = yield* read([{ offset, length: header.bitmapsSize }]);
  if (bytes === undefined || crc32(bytes) !== header.tableChecksum) {
    throw QdbError.from(tableProblem("BAD_CHECKSUM", "the bitmap table does not match table_checksum", offset));
  }
  const starts: number[] = [];
  let at = 0;
  while (starts.length < header.nbBitmaps) {
    const length = lengthAt(bytes, at);
    if (length === undefined) {
      const message = `entry ${starts.length} of ${header.nbBitmaps} runs past bitmaps_size, which is ${bytes.length}`;
      throw QdbError.from(tableProblem("OUT_OF_BOUNDS", message, offset + at));
    }
    starts.push(at);
    at += length;
  }
  if (at !== bytes.length) {
    const message = `the entries take ${at} bytes, bitmaps_size is ${bytes.length}`;
    throw QdbError.from(tableProblem("BAD_FIELD", message, offset + at, "bitmaps_size"));
  }
  return splitTable(bytes, starts, offset);
}

/** Bytes that are missing of the entry that starts at `at`, as far as can be told. */
function missingAt(bytes: Uint8Array, at: number): number {
  const left = bytes.length - at;
  if (left < BITMAP_ENTRY.size) return BITMAP_ENTRY.size - left;
  const { nameSize, extraDataSize } = BITMAP_ENTRY.decode(bytes, at);
  return entryLength(extraDataSize, nameSize) - left;
}

/** Reads `least` bytes and, where they can be read, some more; a bad sector behind the table is no error of the table. */
function* readAhead(offset: number, least: number, most: number): Plan<Uint8Array> {
  const [ahead] = yield* readEach([{ offset, length: Math.min(most, Math.max(least, DRAFT_STEP)) }]);
  if (ahead instanceof Uint8Array) return ahead;
  const [piece] = yield* read([{ offset, length: Math.min(most, least) }]);
  return piece ?? new Uint8Array(0);
}

/** A draft's table has no announced length: the walk itself tells how much more to read, never far past the table's end. */
function* readDraftTable(count: number, offset: number, geometry: FileGeometry): Plan<BitmapTable> {
  const most = Math.min(MAX_TABLE_SIZE, geometry.fileSize - offset);
  const starts: number[] = [];
  let buffer = new Uint8Array(0);
  let have = 0;
  let at = 0;
  while (starts.length < count) {
    const length = lengthAt(buffer.subarray(0, have), at);
    if (length !== undefined) {
      starts.push(at);
      at += length;
      continue;
    }
    if (have === most) {
      const limit = most === MAX_TABLE_SIZE;
      const end = limit ? "64 MiB, the most that a table may take" : "the end of the file";
      throw QdbError.from(
        tableProblem(
          limit ? "LIMIT" : "OUT_OF_BOUNDS",
          `entry ${starts.length} of ${count} runs past ${end}`,
          offset + at,
        ),
      );
    }
    const least = Math.max(
      (count - starts.length) * entryLength(0, 1) - (have - at),
      missingAt(buffer.subarray(0, have), at),
    );
    const piece = yield* readAhead(offset + have, least, most - have);
    if (have + piece.length > buffer.length) {
      const grown = new Uint8Array(Math.max(have + piece.length, Math.min(most, 2 * buffer.length)));
      grown.set(buffer.subarray(0, have));
      buffer = grown;
    }
    buffer.set(piece, have);
    have += piece.length;
  }
  return splitTable(buffer.subarray(0, at), starts, offset);
}

/** The reference to a bitmap's L1 area. */
export function l1Reference(entry: BitmapEntry, geometry: FileGeometry): Reference {
  const { l1TableOffset, l1Size } = entry.fields;
  return {
    offset: fileOffset(l1TableOffset),
    value: l1TableOffset,
    length: l1AreaSize(l1Size, geometry.form),
    what: "the L1 area",
    // Asked for where something is wrong only: the name in it has to be decoded.
    get where() {
      return entryProblem(entry, "l1TableOffset", "BAD_FIELD", "").where;
    },
  };
}

/** Bytes that an entry with such a name and extra data takes in the table. */
export function entryLength(extraDataSize: number, nameSize: number): number {
  return align8(BITMAP_ENTRY.size + extraDataSize + nameSize);
}
