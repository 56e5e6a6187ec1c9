import { QdbError } from "../errors.ts";
import type { AbortSignalLike } from "./abort-signal.ts";

/** A range of a file, in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Options of a read. */
export interface ReadOptions {
  /** If it is aborted, the read may fail with any error: its caller throws ABORTED. */
  readonly signal?: AbortSignalLike | undefined;
}

/**
 * An asynchronous source of bytes (HTTP, a Blob). `read` returns exactly `length` bytes or rejects: never fewer, and never zeros for
 * bytes that are missing. The bytes that it returns never change, and the caller does not write to them.
 *
 * A file is read in rounds; the ranges of one round do not depend on each other. `QdbFile.open` reads the header, then the bitmap table. A
 * call that reads bits reads L1 areas, then data: `readBitmap`, `readAll` and `countAll` about 16 MiB in a round, `extents`, `batches` and `count`
 * of a bitmap about 256 KiB. Unless the source is immutable, the header is read again at the end, to find out whether a writer has committed.
 * @example
 * // An object in a store that returns several ranges in one request.
 * const { size, version } = await store.stat("vm.qdb");
 * const readMany = async (ranges: readonly ByteRange[], { signal }: ReadOptions = {}) => {
 *   try {
 *     return await store.getRanges("vm.qdb", { version, ranges, signal });
 *   } catch (cause) {
 *     throw new QdbError("IO", `vm.qdb cannot be read: ${String(cause)}`, {}, { cause });
 *   }
 * };
 * const source: ByteSource = {
 *   size,
 *   immutable: true, // The store keeps each version as it is.
 *   readMany,
 *   async read(offset, length, options) {
 *     const [bytes = new Uint8Array(0)] = await readMany([{ offset, length }], options);
 *     return bytes;
 *   },
 * };
 * await using file = await QdbFile.open(source);
 */
export interface ByteSource {
  /** Length of the source in bytes when it was opened or refreshed. */
  readonly size: number;
  /** Whether the length cannot change, as that of a block device. Space past the last cluster in use is no leak then. */
  readonly fixedSize?: boolean | undefined;
  /**
   * Whether the bytes cannot change as long as the source is open: bytes in memory, a file behind HTTP whose strong ETag is compared
   * at each read. A read that finds them changed throws SOURCE_CHANGED. Readers then read nothing twice to find out whether a writer has
   * committed meanwhile. A source that could change unnoticed must leave this out.
   */
  readonly immutable?: boolean | undefined;
  /**
   * Updates `size`, since a commit may have made the file longer. Readers call it after they have read the header, and before they
   * use the length. It may be left out if the length cannot change: in an immutable source, and in one of fixed size.
   */
  refresh?(): void | Promise<void>;
  /** Returns whether a writer holds the lock of the file now; undefined if that cannot be found out. */
  hasWriter?(): boolean | undefined | Promise<boolean | undefined>;
  /**
   * Returns a text that changes when the source is written to, as far as the host can tell; undefined if the host cannot tell (devices).
   */
  stamp?(): string | undefined;
  close?(): void | Promise<void>;
  /**
   * Reads exactly `length` bytes at `offset`.
   *
   * For whatever fails, throw a QdbError with the code IO. If a round for several bitmaps fails with IO or SHORT_READ, each of its ranges is
   * read once more, alone, and only the bitmap whose range fails again gets a problem: in `readAll`, `countAll`, `extentsOfAll` and `checkQdb`.
   * Any other error ends the call and is thrown as it is.
   * @throws {QdbError} SHORT_READ if the range ends past the end of the source; IO if it cannot be read; SOURCE_CHANGED if the source finds
   * that its bytes have changed since it was opened
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;
  /**
   * Reads the ranges of a round at once, so that a source can join them in fewer requests. It is called for each round, also for one of a
   * single range. Returns the bytes of each range, in order. May be left out: `read` is then called for each range, side by side. Ranges can
   * be empty, overlap, and have any order.
   * @throws {QdbError} as `read`, for the first range that fails
   */
  readMany?(ranges: readonly ByteRange[], options?: ReadOptions): Promise<readonly Uint8Array[]>;
}

/** A synchronous source of bytes (files in Node, memory), for which awaiting a read would take longer than the read itself. */
export interface SyncByteSource {
  /** Length of the source in bytes when it was opened or refreshed. */
  readonly size: number;
  /** Whether the length cannot change, as that of a block device. Space past the last cluster in use is no leak then. */
  readonly fixedSize?: boolean | undefined;
  /**
   * Whether the bytes cannot change as long as the source is open: bytes in memory, a file behind HTTP whose strong ETag is compared
   * at each read. A read that finds them changed throws SOURCE_CHANGED. Readers then read nothing twice to find out whether a writer has
   * committed meanwhile. A source that could change unnoticed must leave this out.
   */
  readonly immutable?: boolean | undefined;
  /**
   * Updates `size`, since a commit may have made the file longer. Readers call it after they have read the header, and before they
   * use the length. It may be left out if the length cannot change: in an immutable source, and in one of fixed size.
   */
  refresh?(): void | Promise<void>;
  /** Returns whether a writer holds the lock of the file now; undefined if that cannot be found out. */
  hasWriter?(): boolean | undefined | Promise<boolean | undefined>;
  /**
   * Returns a text that changes when the source is written to, as far as the host can tell; undefined if the host cannot tell (devices).
   */
  stamp?(): string | undefined;
  close?(): void | Promise<void>;
  /**
   * Reads exactly `length` bytes at `offset`. See `ByteSource.read` for what an error does to a call.
   * @throws {QdbError} SHORT_READ if the range ends past the end of the source; IO if it cannot be read
   */
  readSync(offset: number, length: number): Uint8Array;
  /**
   * Fills `target` with the bytes at `offset`. May be left out: `readSync` is called then. A source that has it spares long calls a new
   * buffer for each read.
   * @throws {QdbError} as `readSync`
   */
  readIntoSync?(offset: number, target: Uint8Array): void;
}

/** A source of either kind. */
export type AnySource = ByteSource | SyncByteSource;

/** Returns a source over bytes in memory, which must not be changed as long as it is used. Its `readSync` throws SHORT_READ if the range ends past the end of the bytes. */
export function bytesSource(bytes: Uint8Array): SyncByteSource {
  return {
    size: bytes.length,
    immutable: true,
    readSync(offset, length) {
      // The condition is written so that NaN fails it.
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
        throw shortRead(offset, length, bytes.length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** Makes the error (SHORT_READ) of a read past the end of a source. */
export function shortRead(offset: number, length: number, size: number): QdbError {
  return new QdbError(
    "SHORT_READ",
    `${length} bytes at offset ${offset} were asked for, but the source ends at ${size}; it is shorter than it was when it was opened`,
    { offset },
  );
}

/** Returns the bytes of a read. Each read of a source is checked, since missing bytes must not become clean bits. @throws {QdbError} SHORT_READ if there are more or fewer than asked for */
export function exactBytes(bytes: Uint8Array, range: ByteRange): Uint8Array {
  // `slice` of a Buffer of Node shares its memory, so that a plan that changes its copy would change what the source holds.
  if (bytes.length === range.length)
    return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  throw new QdbError(
    "SHORT_READ",
    `a source returned ${bytes.length} bytes, but ${range.length} at offset ${range.offset} were asked for`,
    { offset: range.offset },
  );
}
