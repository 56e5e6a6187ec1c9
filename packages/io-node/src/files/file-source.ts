import type { SyncByteSource } from "@qdb/format";
import { closingOnErrorSync } from "@qdb/format/internal";
import type { FileIdentity } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { readExactly, readInto } from "../system/read-exactly.ts";

/**
 * A file or block device as a source, open for reading only. A read returns exactly the bytes asked for, in a buffer of its own
 * that is aligned to 8 bytes, or throws.
 */
export class FileSource implements SyncByteSource {
  /** The path as it was given. */
  readonly path: string;
  readonly #handle: Handle;
  #size: number;

  /**
   * Opens the file or device.
   * @throws {QdbError} NOT_FOUND if there is none; USAGE for a directory, pipe, socket or character device; NOT_SUPPORTED for a block device
   * of unknown length; LIMIT if it has 2^53 bytes or more; IO if it cannot be opened
   */
  constructor(path: string) {
    this.path = path;
    this.#handle = Handle.openForReading(path);
    this.#size = closingOnErrorSync(this.#handle, () => Number(this.#handle.status().size));
  }

  /** Length in bytes when the file was opened or last refreshed. Reads past it fail. */
  get size(): number {
    return this.#size;
  }

  /** Whether this is a block device, whose length cannot be changed. */
  get fixedSize(): boolean {
    return this.#handle.status().kind === "block";
  }

  /**
   * Asks the system for the length again, since another process may have changed it.
   * @throws {QdbError} IO if the length cannot be read; USAGE if the source is closed
   */
  refresh(): void {
    this.#size = Number(this.#handle.status().size);
  }

  /**
   * Whether a writer has this file open, even if the path leads to another file now; undefined if the system does not report this.
   * @throws {QdbError} IO if the file cannot be examined; USAGE if the source is closed
   */
  hasWriter(): boolean | undefined {
    return this.#handle.hasWriter();
  }

  /**
   * Returns the current length and modification time as text; undefined for a block device, whose modification time does not change when it
   * is written to.
   * @throws {QdbError} IO if the file cannot be examined; USAGE if the source is closed
   */
  stamp(): string | undefined {
    const { kind, size, mtimeNs } = this.#handle.status();
    return kind === "block" ? undefined : `${size} bytes, modified ${mtimeNs}`;
  }

  /**
   * Returns the current status of this file, even if the path leads to another file now.
   * @throws {QdbError} IO if the file cannot be examined; USAGE if the source is closed
   */
  identity(): FileIdentity {
    const { kind, size, mtimeNs, file } = this.#handle.status();
    return { kind, size, mtimeNs, file };
  }

  /**
   * Reads exactly `length` bytes at `offset`.
   * @throws {QdbError} SHORT_READ if the range ends past the end of the file, or past the end that the file had when it was opened or
   * refreshed; IO if the range cannot be read; LIMIT if the bytes do not fit in memory; USAGE if the source is closed
   */
  readSync(offset: number, length: number): Uint8Array {
    return readExactly(this.#handle, this.#size, offset, length);
  }

  /** Fills `target` with the bytes at `offset`. @throws {QdbError} as {@link readSync} */
  readIntoSync(offset: number, target: Uint8Array): void {
    readInto(this.#handle, this.#size, offset, target);
  }

  /** Closes the file. A second call does nothing. @throws {QdbError} IO if the system reports an error */
  close(): void {
    this.#handle.close();
  }
}

/** Opens a file or block device for reading. @throws {QdbError} as the constructor of {@link FileSource} */
export function openFileSource(path: string): FileSource {
  return new FileSource(path);
}
