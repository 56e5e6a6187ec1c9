// The header and its extensions, and how they change so that every state of the file between two writes can be opened.
import { QdbError } from "@qdb/format";
import { align8, type FileChunk, TLV_HEAD } from "@qdb/format/container";
import { equalBytes } from "@qdb/format/internal";
import { BITMAPS, BITMAPS_EXTENSION, extensionsEnd, extensionsIn } from "../image/extensions.ts";
import { AUTOCLEAR_BITMAPS, AUTOCLEAR_RAW_DATA, QCOW2_HEADER, type Qcow2Header } from "../image/header.ts";

/** Bytes that reach the disk whole or not at all. */
const SECTOR = 512;
/** Autoclear bits that this writer knows: bitmaps, and raw external data. A writer clears all others (qcow2: Header, autoclear_features). */
const KNOWN_AUTOCLEAR = AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA;

/** The bitmap directory to which the bitmaps extension is to refer. */
export interface DirectoryPlace {
  /** Number of bitmaps. */
  readonly count: number;
  /** File offset and length in bytes. */
  readonly offset: number;
  readonly length: number;
}

/** The first bytes of an image: header and extensions. Each change returns the sectors to write, and takes effect here at once. */
export class HeaderArea {
  #bytes: Uint8Array;

  /** `bytes` are those of the first cluster of the file. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
  }

  /** The header fields after the changes so far. */
  get header(): Qcow2Header {
    return QCOW2_HEADER.decode(this.#bytes);
  }

  /** The bytes of the file after the changes so far. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Clears the autoclear bits that this writer does not know. A writer does that before it writes anything else. */
  clearUnknownAutoclear(): readonly FileChunk[] {
    const autoclearFeatures = this.header.autoclearFeatures & KNOWN_AUTOCLEAR;
    return this.#become(withFields(this.#bytes, { autoclearFeatures }));
  }

  /** Sets offset in bytes and length in clusters of the refcount table. */
  setRefcountTable(offset: number, clusters: number): readonly FileChunk[] {
    const fields = { refcountTableOffset: BigInt(offset), refcountTableClusters: clusters };
    return this.#become(withFields(this.#bytes, fields));
  }

  /**
   * Sets the place of the bitmap directory, or removes the bitmaps extension if there are no bitmaps any more. Returns the writes in groups;
   * each group must be on the disk before the next one. If power is cut in between, the image opens: with the old bitmaps, with the new
   * ones, or with bitmaps that are not consistent.
   * The name of the backing file, which follows the extensions, moves up if the extension needs its place.
   * @throws {QdbError} NOT_SUPPORTED if there is no room for the extension, or if it cannot be removed without moving another one
   */
  setDirectory(place: DirectoryPlace | undefined): readonly (readonly FileChunk[])[] {
    const [target, ...path] = pathTo(this.#bytes, place);
    const groups: (readonly FileChunk[])[] = [];
    const become = (bytes: Uint8Array): void => {
      const chunks = this.#become(bytes);
      if (chunks.length > 0) groups.push(chunks);
    };
    for (const state of path) {
      // A write of one sector needs no state in between.
      if (changedSectors(this.#bytes, target).length > 1) become(state);
    }
    become(target);
    return groups;
  }

  #become(bytes: Uint8Array): readonly FileChunk[] {
    const chunks = changedSectors(this.#bytes, bytes);
    this.#bytes = bytes;
    return chunks;
  }
}

/**
 * Returns the bytes after the change, and before them the states that lead there. Between two states more than one sector changes only where
 * no program looks: in the data of the bitmaps extension while autoclear bit 0 is clear, behind the end of the extensions, and behind the
 * name of the backing file.
 */
function pathTo(before: Uint8Array, place: DirectoryPlace | undefined): [target: Uint8Array, ...path: Uint8Array[]] {
  const autoclear = QCOW2_HEADER.decode(before).autoclearFeatures & KNOWN_AUTOCLEAR & ~AUTOCLEAR_BITMAPS;
  const cleared = (bytes: Uint8Array): Uint8Array => withFields(bytes, { autoclearFeatures: autoclear });
  const { start, end } = findExtension(before);
  if (place === undefined) {
    if (start === undefined) return [cleared(before)];
    const target = cleared(withoutExtension(before, start, end));
    if (changedSectors(cleared(before), target).length > 1) throw cannotMove();
    return [target, cleared(before)];
  }
  const moves = start === undefined ? movesOfName(before, end) : [];
  const after = withExtension(moves.at(-1) ?? before, start ?? end, place, start === undefined);
  const target = withFields(after, { autoclearFeatures: autoclear | AUTOCLEAR_BITMAPS });
  if (start !== undefined) return [target, cleared(before), cleared(after)];
  // The extensions still end where they ended, and the new one is behind their end.
  const behind = after.slice();
  behind.fill(0, end, end + TLV_HEAD.size);
  return [target, ...moves, cleared(behind), cleared(after)];
}

/**
 * Returns the states in which the name of the backing file moves up, so that an extension of bitmaps fits in at `end`: first a copy of it,
 * where nothing is, then the field that refers to it. Empty if there is room.
 * @throws {QdbError} NOT_SUPPORTED if there is no room in the first cluster
 */
function movesOfName(before: Uint8Array, end: number): Uint8Array[] {
  const { backingFileOffset, backingFileSize } = QCOW2_HEADER.decode(before);
  const from = Number(backingFileOffset);
  const needed = end + TLV_HEAD.size + BITMAPS_EXTENSION.size + TLV_HEAD.size;
  if (from === 0 || needed <= from) return [];
  const to = align8(Math.max(needed, from + backingFileSize));
  // Without the head of zeros that ends the extensions, the old name would be taken for one.
  const isEnded = end + TLV_HEAD.size <= from && before.subarray(end, end + TLV_HEAD.size).every((byte) => byte === 0);
  if (!isEnded || to + backingFileSize > before.length) throw noRoom(end, before.length - from);
  const copied = before.slice();
  copied.copyWithin(to, from, from + backingFileSize);
  return [copied, withFields(copied, { backingFileOffset: BigInt(to) })];
}

/** Returns where the bitmaps extension begins, if there is one, and where the last extension ends. Both are file offsets in bytes. */
function findExtension(bytes: Uint8Array): { readonly start: number | undefined; readonly end: number } {
  const header = QCOW2_HEADER.decode(bytes);
  let end = header.headerLength;
  let start: number | undefined;
  for (const { type, data, fileOffset } of extensionsIn(bytes, end, extensionsEnd(header))) {
    if (type === BITMAPS) start = fileOffset - TLV_HEAD.size;
    end = fileOffset + align8(data.length);
  }
  return { start, end };
}

/** Returns the area with a bitmaps extension at `start`. @throws {QdbError} NOT_SUPPORTED if it is new and has no room */
function withExtension(before: Uint8Array, start: number, place: DirectoryPlace, isNew: boolean): Uint8Array {
  const after = before.slice();
  const data = start + TLV_HEAD.size;
  const end = data + BITMAPS_EXTENSION.size;
  const limit = extensionsEnd(QCOW2_HEADER.decode(before));
  if (end > limit) throw noRoom(start, limit - start);
  TLV_HEAD.encode({ type: BITMAPS, length: BITMAPS_EXTENSION.size }, after, start);
  const { count, offset, length } = place;
  const fields = {
    nbBitmaps: count,
    reserved: 0,
    bitmapDirectorySize: BigInt(length),
    bitmapDirectoryOffset: BigInt(offset),
  };
  BITMAPS_EXTENSION.encode(fields, after, data);
  if (isNew) after.fill(0, end, Math.min(end + TLV_HEAD.size, limit));
  return after;
}

/** Returns the area without the bitmaps extension at `start`; the extensions behind it, which end at `end`, move up. */
function withoutExtension(before: Uint8Array, start: number, end: number): Uint8Array {
  const after = before.slice();
  const next = start + TLV_HEAD.size + BITMAPS_EXTENSION.size;
  if (next === end) {
    after.fill(0, start, start + TLV_HEAD.size);
    return after;
  }
  after.copyWithin(start, next, end);
  after.fill(0, start + end - next, end);
  return after;
}

function withFields(bytes: Uint8Array, fields: Partial<Qcow2Header>): Uint8Array {
  const after = bytes.slice();
  QCOW2_HEADER.encode({ ...QCOW2_HEADER.decode(bytes), ...fields }, after);
  return after;
}

function changedSectors(before: Uint8Array, after: Uint8Array): FileChunk[] {
  const chunks: FileChunk[] = [];
  for (let offset = 0; offset < after.length; offset += SECTOR) {
    const bytes = after.subarray(offset, offset + SECTOR);
    if (!equalBytes(bytes, before.subarray(offset, offset + SECTOR))) chunks.push({ offset, bytes });
  }
  return chunks;
}

function noRoom(start: number, left: number): QdbError {
  const message = `the extensions of the image end at ${start}, and ${left} bytes of the first cluster are left; the bitmaps extension needs ${TLV_HEAD.size + BITMAPS_EXTENSION.size}`;
  return new QdbError("NOT_SUPPORTED", message, { structure: BITMAPS_EXTENSION.name, offset: start });
}

function cannotMove(): QdbError {
  return new QdbError(
    "NOT_SUPPORTED",
    "the last bitmap cannot be removed: other header extensions are behind that of the bitmaps, and moving them is not safe; use qemu-img bitmap --remove",
    { structure: BITMAPS_EXTENSION.name },
  );
}
