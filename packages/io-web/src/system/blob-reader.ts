import { type ByteRange, QdbError } from "@qdb/format";
import { shortRead } from "@qdb/format/container";
import { itemAt } from "@qdb/format/internal";
import { namesOf } from "./errors.ts";
import { cutFrom, joinRanges, MAX_SPAN, type Span } from "./spans.ts";

/** A part of a Blob that is being read. */
interface Part extends ByteRange {
  readonly bytes: Promise<Uint8Array>;
}

/**
 * Reads ranges of a Blob. It reads ahead of a caller that goes from front to back, since a read of some MiB takes a browser little longer than
 * one of 256 KiB. Any other read drops what was read ahead: no byte is older than the header that was read before it.
 */
export class BlobReader {
  readonly #blob: Blob;
  /** Where the last read ended: a read that begins there goes on from front to back. */
  #end = -1;
  /** Parts that are being read or were, in a row. Each is twice as long as the one before, up to {@link MAX_SPAN}. */
  #ahead: Part[] = [];

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#blob.size;
  }

  /**
   * Reads ranges, those that are near at once.
   * @throws {QdbError} SHORT_READ if a range ends past the end; IO if the bytes cannot be read, for example because the file on the disk was
   * changed or removed since it was chosen
   */
  async readMany(ranges: readonly ByteRange[]): Promise<readonly Uint8Array[]> {
    for (const { offset, length } of ranges) {
      // The condition is written so that NaN fails it. `slice` would cut a range at the end, and count a negative offset from it.
      if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) throw shortRead(offset, length, this.size);
    }
    const joined = joinRanges(ranges);
    const [first, second] = joined;
    const goesOn = second === undefined && first?.offset === this.#end && first.length < MAX_SPAN;
    if (first !== undefined) this.#end = second === undefined ? first.offset + first.length : -1;
    if (!goesOn) this.#ahead = [];
    const spans = await Promise.all(joined.map((range) => (goesOn ? this.#readAhead(range) : this.#readSpan(range))));
    return ranges.map((range) => cutFrom(spans, range));
  }

  /** Reads a range that goes on from the one before, and begins to read the part after it. */
  async #readAhead(range: ByteRange): Promise<Span> {
    const end = range.offset + range.length;
    const parts = this.#ahead.filter(({ offset, length }) => offset + length > range.offset);
    let { offset, length } = parts.at(-1) ?? { offset: range.offset, length: 0 };
    while ((parts.length === 0 || offset < end) && offset + length < this.size) {
      offset += length;
      length = Math.min(2 * Math.max(length, range.length), MAX_SPAN, this.size - offset);
      const bytes = this.#read(offset, length);
      // Nobody may ask for it, and who does gets the error.
      bytes.catch(() => undefined);
      parts.push({ offset, length, bytes });
    }
    this.#ahead = parts;
    try {
      return await joinParts(parts.filter((part) => part.offset < end));
    } catch {
      // The bytes that cannot be read may be others than those that are asked for.
      this.#ahead = [];
      return this.#readSpan(range);
    }
  }

  async #readSpan({ offset, length }: ByteRange): Promise<Span> {
    return { offset, bytes: await this.#read(offset, length) };
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
    } catch (error) {
      throw unreadable(error, offset, length);
    }
    if (bytes.length !== length) throw shortRead(offset, length, offset + bytes.length);
    return bytes;
  }
}

/** Returns the bytes of parts in a row. */
async function joinParts(parts: readonly Part[]): Promise<Span> {
  const { offset } = itemAt(parts, 0);
  const pieces = await Promise.all(parts.map(({ bytes }) => bytes));
  if (pieces.length === 1) return { offset, bytes: itemAt(pieces, 0) };
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { offset, bytes };
}

function unreadable(error: unknown, offset: number, length: number): QdbError {
  const { name, message } = namesOf(error);
  const hint = name === "NotReadableError" ? "; it may have been changed or removed since it was chosen" : "";
  return new QdbError(
    "IO",
    `${length} bytes at offset ${offset} of the file cannot be read: ${name}: ${message}${hint}`,
    { offset },
    { cause: error },
  );
}
