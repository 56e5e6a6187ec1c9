import { QdbError, quote } from "@qdb/format";
import { shortRead } from "@qdb/format/container";
import type { Handle } from "./handle.ts";

/**
 * Reads exactly `length` bytes at file offset `offset` of a file of `size` bytes, into a new buffer that is aligned to 8 bytes.
 * @throws {QdbError} SHORT_READ if the file ends before that; IO; LIMIT if memory does not suffice; USAGE after closing
 */
export function readExactly(handle: Handle, size: number, offset: number, length: number): Uint8Array {
  // This is checked before memory is allocated, because a length from a damaged file can be huge.
  if (!(offset >= 0 && length >= 0 && offset + length <= size)) throw shortRead(offset, length, size);
  const target = allocate(length, handle.path);
  handle.readInto(target, length, offset);
  return target;
}

/**
 * Fills `target` with the bytes at file offset `offset` of a file of `size` bytes.
 * @throws {QdbError} SHORT_READ if the file ends before that; IO; USAGE after closing
 */
export function readInto(handle: Handle, size: number, offset: number, target: Uint8Array): void {
  const { length } = target;
  if (!(offset >= 0 && offset + length <= size)) throw shortRead(offset, length, size);
  handle.readInto(target, length, offset);
}

/** Allocates a buffer outside of Node's pool, whose buffers are not aligned. @throws {QdbError} LIMIT if memory does not suffice */
function allocate(length: number, path: string): Uint8Array {
  try {
    return Buffer.allocUnsafeSlow(length);
  } catch (error) {
    const message = `${length} bytes of ${quote(path)} do not fit into memory in one piece`;
    throw new QdbError("LIMIT", message, {}, { cause: error });
  }
}
