import { type ByteRange, QdbError } from "@qdb/format";
import { shortRead } from "@qdb/format/container";
import { namesOf } from "./errors.ts";
import { cutFrom, joinRanges } from "./spans.ts";

/**
 * Reads exactly `length` bytes at `offset` of a Blob.
 * @throws {QdbError} SHORT_READ if the range ends past the end; IO if the bytes cannot be read, for example because the file on the disk was
 * changed or removed since it was chosen
 */
export async function readBlob(blob: Blob, offset: number, length: number): Promise<Uint8Array> {
  // The condition is written so that NaN fails it. `slice` would cut a range at the end, and count a negative offset from it.
  if (!(offset >= 0 && length >= 0 && offset + length <= blob.size)) throw shortRead(offset, length, blob.size);
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
  } catch (error) {
    throw unreadable(error, offset, length);
  }
  if (bytes.length !== length) throw shortRead(offset, length, offset + bytes.length);
  return bytes;
}

/**
 * Reads ranges of a Blob. Ranges that are near are read at once: a read takes far longer than the bytes between two clusters.
 * @throws {QdbError} as {@link readBlob}
 */
export async function readBlobRanges(blob: Blob, ranges: readonly ByteRange[]): Promise<readonly Uint8Array[]> {
  for (const { offset, length } of ranges) {
    if (!(offset >= 0 && length >= 0 && offset + length <= blob.size)) throw shortRead(offset, length, blob.size);
  }
  const spans = await Promise.all(
    joinRanges(ranges).map(async ({ offset, length }) => ({ offset, bytes: await readBlob(blob, offset, length) })),
  );
  return ranges.map((range) => cutFrom(spans, range));
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
