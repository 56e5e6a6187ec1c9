import { QdbError, quote, shortRead } from "@qdb/format";
import type { Handle } from "./handle.ts";

/**
 * Reads exactly `length` bytes at `offset` of a file of `size` bytes into a buffer of their own that is aligned to 8 bytes.
 * @throws {QdbError} SHORT_READ where the file ends before that; IO; LIMIT for more than memory takes; USAGE once closed
 */
export function readExactly(handle: Handle, size: number, offset: number, length: number): Uint8Array {
  // Before allocating: a length from a damaged file can be huge.
  if (!(offset >= 0 && length >= 0 && offset + length <= size)) throw shortRead(offset, length, size);
  const target = allocate(length, handle.path);
  handle.readInto(target, length, offset);
  return target;
}

/** Does not use Node's pool, whose buffers are not aligned. */
function allocate(length: number, path: string): Uint8Array {
  try {
    return Buffer.allocUnsafeSlow(length);
  } catch (error) {
    const message = `${length} bytes of ${quote(path)} do not fit into memory in one piece`;
    throw new QdbError("LIMIT", message, {}, { cause: error });
  }
}
