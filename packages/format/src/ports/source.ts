import { QdbError } from "../errors.ts";

/** A range of a file; both values are in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * An asynchronous source of bytes (HTTP, a Blob). `read` returns exactly `length` bytes or rejects: never fewer, and never zeros for
 * bytes that are missing. The bytes that it returns never change, and the caller does not write to them.
 */
export interface ByteSource {
  /** Length of the source in bytes when it was opened or refreshed. */
  readonly size: number;
  /** Whether the length cannot change, as that of a device: then space behind the last cluster is no leak. */
  readonly fixedSize?: boolean;
  /** Updates `size`: a commit may have made the file longer. */
  refresh?(): void | Promise<void>;
  /** Whether a writer holds the lock of the file now; undefined if that cannot be found out. */
  hasWriter?(): boolean | undefined | Promise<boolean | undefined>;
  /** A text that differs after the source was written to, as far as the host can tell; undefined if it cannot, as for devices. */
  stamp?(): string | undefined;
  close?(): void | Promise<void>;
  /** @throws {QdbError} SHORT_READ, IO, SOURCE_CHANGED */
  read(offset: number, length: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}

/** A synchronous source of bytes (files in Node, memory), for which awaiting a read would take longer than the read itself. */
export interface SyncByteSource {
  /** Length of the source in bytes when it was opened or refreshed. */
  readonly size: number;
  /** Whether the length cannot change, as that of a device: then space behind the last cluster is no leak. */
  readonly fixedSize?: boolean;
  /** Updates `size`: a commit may have made the file longer. */
  refresh?(): void | Promise<void>;
  /** Whether a writer holds the lock of the file now; undefined if that cannot be found out. */
  hasWriter?(): boolean | undefined | Promise<boolean | undefined>;
  /** A text that differs after the source was written to, as far as the host can tell; undefined if it cannot, as for devices. */
  stamp?(): string | undefined;
  close?(): void | Promise<void>;
  /** @throws {QdbError} SHORT_READ, IO */
  readSync(offset: number, length: number): Uint8Array;
}

/** Either kind of source. */
export type AnySource = ByteSource | SyncByteSource;

/** A source over bytes in memory. @throws {QdbError} SHORT_READ from `readSync` for a range past their end */
export function bytesSource(bytes: Uint8Array): SyncByteSource {
  return {
    size: bytes.length,
    readSync(offset, length) {
      // This form of the condition is false for NaN too.
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
        throw shortRead(offset, length, bytes.length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** The error of a read past the end of a source. */
export function shortRead(offset: number, length: number, size: number): QdbError {
  return new QdbError(
    "SHORT_READ",
    `${length} bytes at offset ${offset} were asked for, but the source ends at ${size}; it is shorter than it was when it was opened`,
    { offset },
  );
}
