import type { SyncByteSource } from "@qdb/format";
import { readExactly } from "../system/exact.ts";
import type { FileIdentity } from "../system/facts.ts";
import { Handle } from "../system/handle.ts";

/**
 * A file or block device as a source, open for reading only. Every read gives exactly what was asked for, in a
 * buffer of its own that starts at a multiple of 8, or throws.
 */
export class FileSource implements SyncByteSource {
  /** The path as it was given. */
  readonly path: string;
  readonly #handle: Handle;
  #size: number;

  /** @throws {QdbError} NOT_FOUND; USAGE for a directory, pipe, socket or character device; NOT_SUPPORTED for a block device whose length cannot be found out; LIMIT from 2^53 bytes on; IO */
  constructor(path: string) {
    this.path = path;
    this.#handle = Handle.openForReading(path);
    try {
      this.#size = Number(this.#handle.facts().size);
    } catch (error) {
      this.#handle.closeAfterError();
      throw error;
    }
  }

  /** Length in bytes when it was opened or last refreshed; what lies behind it is not read. */
  get size(): number {
    return this.#size;
  }

  /** Whether this is a block device, whose length is not the file's own to choose. */
  get fixedSize(): boolean {
    return this.#handle.facts().kind === "block";
  }

  /** Asks for the length again, for who reads a file that others write. @throws {QdbError} IO; USAGE once closed */
  refresh(): void {
    this.#size = Number(this.#handle.facts().size);
  }

  /** Whether a writer has the file open, whatever the path leads to by now; undefined where the system does not tell. @throws {QdbError} IO; USAGE once closed */
  hasWriter(): boolean | undefined {
    return this.#handle.hasWriter();
  }

  /** Length and last modification as they are now; undefined for a block device, whose writes the system does not note. @throws {QdbError} IO; USAGE once closed */
  stamp(): string | undefined {
    const { kind, size, mtimeNs } = this.#handle.facts();
    return kind === "block" ? undefined : `${size} bytes, modified ${mtimeNs}`;
  }

  /** What the system says about the file now, whatever the path leads to by now. @throws {QdbError} IO; USAGE once closed */
  identity(): FileIdentity {
    const { kind, size, mtimeNs, file } = this.#handle.facts();
    return { kind, size, mtimeNs, file };
  }

  /**
   * Reads exactly `length` bytes at `offset`.
   * @throws {QdbError} SHORT_READ where the file ends before that (or ended when it was opened); IO; LIMIT for more than memory takes; USAGE once closed
   */
  readSync(offset: number, length: number): Uint8Array {
    return readExactly(this.#handle, this.#size, offset, length);
  }

  /** Closes the file; does nothing the second time. @throws {QdbError} IO */
  close(): void {
    this.#handle.close();
  }
}

/** Opens a file or block device for reading. @throws {QdbError} as the constructor of {@link FileSource} */
export function openFileSource(path: string): FileSource {
  return new FileSource(path);
}
