import { type ByteRange, type ByteSource, isQdbError, quote } from "@qdb/format";
import { itemAt } from "@qdb/format/internal";
import { BlobReader } from "../system/blob-reader.ts";
import { closedError, fileError } from "../system/errors.ts";
import { findFile } from "./access.ts";
import { type OpfsPath, partsOf } from "./opfs-path.ts";

/** How often a read is tried again after the file was written to: the browser lets nobody read the old state then. */
const RETRIES = 4;

/**
 * A file of the origin private file system, open for reading. It takes no lock: a writer can commit meanwhile, in this tab or another one,
 * which readers notice by the header.
 */
export class OpfsSource implements ByteSource {
  readonly path: OpfsPath;
  readonly #handle: FileSystemFileHandle;
  #reader: BlobReader;
  #isClosed = false;

  private constructor(path: OpfsPath, handle: FileSystemFileHandle, file: File) {
    this.path = path;
    this.#handle = handle;
    this.#reader = new BlobReader(file);
  }

  /** Opens a file. @throws {QdbError} as {@link openOpfsSource} */
  static async open(path: OpfsPath): Promise<OpfsSource> {
    const parts = partsOf(path);
    try {
      const handle = await findFile(parts, false);
      return new OpfsSource(path, handle, await handle.getFile());
    } catch (error) {
      throw fileError(error, `${quote(path)} cannot be opened`);
    }
  }

  /** Length in bytes when the file was opened or refreshed. */
  get size(): number {
    return this.#reader.size;
  }

  /** Looks at the file again, since a commit may have made it longer. @throws {QdbError} NOT_FOUND if it was removed; IO */
  async refresh(): Promise<void> {
    if (this.#isClosed) throw closedError(quote(this.path));
    try {
      this.#reader = new BlobReader(await this.#handle.getFile());
    } catch (error) {
      throw fileError(error, `${quote(this.path)} cannot be read`);
    }
  }

  /** Reads exactly `length` bytes at `offset`. @throws {QdbError} as {@link readMany} */
  async read(offset: number, length: number): Promise<Uint8Array> {
    return itemAt(await this.readMany([{ offset, length }]), 0);
  }

  /**
   * Reads ranges, those that are near at once.
   * @throws {QdbError} SHORT_READ if a range ends past the end; NOT_FOUND if the file was removed; IO; USAGE if the source is closed
   */
  async readMany(ranges: readonly ByteRange[]): Promise<readonly Uint8Array[]> {
    for (let tries = 0; ; tries++) {
      if (this.#isClosed) throw closedError(quote(this.path));
      try {
        return await this.#reader.readMany(ranges);
      } catch (error) {
        if (!isQdbError(error, "IO") || tries === RETRIES) throw error;
      }
      await this.refresh();
    }
  }

  /** Ends the use of the source. */
  close(): void {
    this.#isClosed = true;
  }
}

/**
 * Opens a file of the origin private file system for reading.
 * @throws {QdbError} NOT_FOUND if there is none; USAGE for a path that names no file, or a folder; NOT_SUPPORTED if the browser gives the page
 * no files; IO
 */
export function openOpfsSource(path: OpfsPath): Promise<OpfsSource> {
  return OpfsSource.open(path);
}
