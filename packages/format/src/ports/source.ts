import { QdbError } from "../errors.ts";

/** A run of bytes of a file: both in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Where bytes are read from, awaited (HTTP, a Blob).
 * `read` gives exactly `length` bytes or rejects: never fewer, never zeros for what is not there.
 * The returned bytes stay as they are; whoever gets them reads them and does not write to them.
 */
export interface ByteSource {
  /** Length of the source in bytes when it was opened or refreshed. */
  readonly size: number;
  /** Whether the length is not the file's own to choose, as a device's: what lies behind the last cluster is no leak then. */
  readonly fixedSize?: boolean;
  /** Looks at the length anew: a file may have grown by a commit. */
  refresh?(): void | Promise<void>;
  /** Whether a writer holds the file's lock now; undefined, or absent, where that cannot be found out. */
  hasWriter?(): boolean | undefined | Promise<boolean | undefined>;
  /** A text that is another one once the source was written to, as far as its host can tell; undefined where it cannot, as for devices. */
  stamp?(): string | undefined;
  close?(): void | Promise<void>;
  /** @throws {QdbError} SHORT_READ, IO, SOURCE_CHANGED */
  read(offset: number, length: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}

/** The same, answered at once (files under Node, bytes in memory), where an awaited read would cost more than the read. */
export interface SyncByteSource {
  /** Length of the source in bytes when it was opened or refreshed. */
  readonly size: number;
  /** Whether the length is not the file's own to choose, as a device's: what lies behind the last cluster is no leak then. */
  readonly fixedSize?: boolean;
  /** Looks at the length anew: a file may have grown by a commit. */
  refresh?(): void | Promise<void>;
  /** Whether a writer holds the file's lock now; undefined, or absent, where that cannot be found out. */
  hasWriter?(): boolean | undefined | Promise<boolean | undefined>;
  /** A text that is another one once the source was written to, as far as its host can tell; undefined where it cannot, as for devices. */
  stamp?(): string | undefined;
  close?(): void | Promise<void>;
  /** @throws {QdbError} SHORT_READ, IO */
  readSync(offset: number, length: number): Uint8Array;
}

/** Either kind of source. */
export type AnySource = ByteSource | SyncByteSource;

/** A source over bytes in memory. @throws {QdbError} SHORT_READ from `readSync` where the bytes end too early */
export function bytesSource(bytes: Uint8Array): SyncByteSource {
  return {
    size: bytes.length,
    readSync(offset, length) {
      // Written so that a NaN is refused too.
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
        throw shortRead(offset, length, bytes.length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** The error of a read that the source could not complete. */
export function shortRead(offset: number, length: number, size: number): QdbError {
  return new QdbError(
    "SHORT_READ",
    `${length} bytes at offset ${offset} were asked for, but the source ends at ${size}; it is shorter than it was when it was opened`,
    { offset },
  );
}
