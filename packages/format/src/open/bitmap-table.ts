import { type Problem, QdbError } from "../errors.ts";
import { align8, fileOffset } from "../layout/numbers.ts";
import { MAX_TABLE_SIZE } from "../limits.ts";
import type { Crc32 } from "../ports/digest.ts";
import { type Plan, readRange, tryReadRange } from "../ports/plan.ts";
import { BITMAP_ENTRY, BitmapEntry, entryProblem } from "../records/bitmap-entry.ts";
import type { Header } from "../records/header.ts";
import { l1AreaSize } from "../records/l1.ts";
import type { FileGeometry, Reference } from "./geometry.ts";

/**
 * Minimum number of bytes that are read at a time of the table of a draft, since the header of a draft does not have the table's length.
 */
const DRAFT_STEP = 32 * 1024;

/** The bitmap table of a file. */
export interface BitmapTable {
  /** The bytes of all entries. */
  readonly bytes: Uint8Array;
  readonly entries: readonly BitmapEntry[];
}

/**
 * Reads the bitmap table and finds where its entries begin. `known` has the bytes of the table, if they were read before. The rules of
 * single entries are not checked here.
 * @throws {QdbError} BAD_CHECKSUM if the table does not match its checksum; OUT_OF_BOUNDS if an entry runs past the end of the table, in
 * draft form past the end of the file; BAD_FIELD if the entries do not fill the table; LIMIT if the table of a draft is longer than 64 MiB
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
  const bytes = known ?? (yield* readRange(offset, header.bitmapsSize));
  if (crc32(bytes) !== header.tableChecksum) {
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

function tableProblem(code: Problem["code"], message: string, offset: number, field?: string): Problem {
  return { code, message, where: { structure: "bitmap table", offset, ...(field === undefined ? {} : { field }) } };
}

/** Returns the length in bytes of the entry that starts at `at`, padding included; undefined if `bytes` end inside the entry. */
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
 * Reads the table of a draft, whose length is not in the header. The table is read in steps: the entries that were read so far give a lower
 * bound of the bytes that are missing, so that little is read past the end of the table.
 */
function* readDraftTable(count: number, offset: number, geometry: FileGeometry): Plan<BitmapTable> {
  const max = Math.min(MAX_TABLE_SIZE, geometry.fileSize - offset);
  const buffer = new GrowingBuffer(max);
  const starts: number[] = [];
  let at = 0;
  while (starts.length < count) {
    const length = lengthAt(buffer.bytes(), at);
    if (length !== undefined) {
      starts.push(at);
      at += length;
      continue;
    }
    if (buffer.length === max) throw QdbError.from(tooLong(starts.length, count, offset + at, max));
    const min = Math.max(
      (count - starts.length) * entryLength(0, 1) - (buffer.length - at),
      missingAt(buffer.bytes(), at),
    );
    buffer.append(yield* readAhead(offset + buffer.length, min, max - buffer.length));
  }
  return splitTable(buffer.bytes().subarray(0, at), starts, offset);
}

/**
 * A buffer that grows when bytes are appended: to twice its size (but not above `max`), or to the size that is needed if that is larger.
 */
class GrowingBuffer {
  readonly #max: number;
  #memory = new Uint8Array(0);
  /** Number of bytes appended. */
  length = 0;

  constructor(max: number) {
    this.#max = max;
  }

  append(piece: Uint8Array): void {
    const needed = this.length + piece.length;
    if (needed > this.#memory.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(this.#max, 2 * this.#memory.length)));
      grown.set(this.bytes());
      this.#memory = grown;
    }
    this.#memory.set(piece, this.length);
    this.length = needed;
  }

  bytes(): Uint8Array {
    return this.#memory.subarray(0, this.length);
  }
}

function tooLong(entry: number, count: number, offset: number, max: number): Problem {
  const isLimit = max === MAX_TABLE_SIZE;
  const end = isLimit ? "64 MiB, the most that a table may take" : "the end of the file";
  return tableProblem(isLimit ? "LIMIT" : "OUT_OF_BOUNDS", `entry ${entry} of ${count} runs past ${end}`, offset);
}

/**
 * Returns how many bytes of the entry that starts at `at` are missing at the end of `bytes`; a lower bound if the fields with the lengths
 * of the entry are missing too.
 */
function missingAt(bytes: Uint8Array, at: number): number {
  const left = bytes.length - at;
  if (left < BITMAP_ENTRY.size) return BITMAP_ENTRY.size - left;
  const { nameSize, extraDataSize } = BITMAP_ENTRY.decode(bytes, at);
  return entryLength(extraDataSize, nameSize) - left;
}

/**
 * Reads `DRAFT_STEP` bytes, or `min` bytes if that is more, but not more than `max`. If that fails, reads `min` bytes only: a bad
 * sector past the end of the table is no error of the table.
 */
function* readAhead(offset: number, min: number, max: number): Plan<Uint8Array> {
  const ahead = yield* tryReadRange(offset, Math.min(max, Math.max(min, DRAFT_STEP)));
  return ahead instanceof Uint8Array ? ahead : yield* readRange(offset, Math.min(max, min));
}

/** Returns the reference of a table entry to its L1 area. */
export function l1Reference(entry: BitmapEntry, geometry: FileGeometry): Reference {
  const { l1TableOffset, l1Size } = entry.decodeFields();
  return {
    offset: fileOffset(l1TableOffset),
    value: l1TableOffset,
    length: l1AreaSize(l1Size, geometry.form),
    what: "the L1 area",
    // A getter, since it decodes the name of the bitmap, and only problems need it.
    get where() {
      return entryProblem(entry, "l1TableOffset", "BAD_FIELD", "").where;
    },
  };
}

/** Returns the length in bytes of an entry of the table, padding included. */
export function entryLength(extraDataSize: number, nameSize: number): number {
  return align8(BITMAP_ENTRY.size + extraDataSize + nameSize);
}
