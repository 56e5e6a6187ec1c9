import { isQdbError, QdbError, quote } from "@qdb/format";
import type { FileImage, SyncStore } from "@qdb/format/container";
import { closingOnErrorSync } from "@qdb/format/internal";
import { replaceFile } from "../create/replace-file.ts";
import { pathChanged } from "../system/errors.ts";
import { leadsTo, statusAt, statusIfThere } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { findLockHolder, lockedError } from "../system/lock-state.ts";
import { readExactly, readInto } from "../system/read-exactly.ts";
import { requireWritableHost } from "../system/writable-host.ts";

/** Maximum number of attempts to open a file that is replaced each time after it was opened and before it was locked. */
const MAX_ATTEMPTS = 8;

/**
 * A file or block device as a store. It holds the kernel's exclusive lock from opening to close (spec §5, step 1). The kernel
 * releases the lock when the process ends, however it ends. The lock excludes other writers only: readers take none.
 */
export class FileStore implements SyncStore {
  /** The path as it was given. */
  readonly path: string;
  #handle: Handle;
  #size: number;
  readonly #isDevice: boolean;
  /** The error of a failed rewrite; every later write throws it. */
  #poisoned: QdbError | undefined;

  /**
   * Opens and locks the file or device.
   * @throws {QdbError} LOCKED at once if another process holds the lock, which the message names if the system reports it; NOT_FOUND if there
   * is no such file; USAGE for a directory, pipe, socket or character device; NOT_SUPPORTED on other hosts than Linux, or if the command
   * flock of util-linux is missing; LIMIT if it has 2^53 bytes or more; IO if it cannot be opened or locked
   */
  constructor(path: string) {
    requireWritableHost();
    this.path = path;
    this.#handle = openLocked(path);
    const { kind, size } = closingOnErrorSync(this.#handle, () => this.#handle.status());
    this.#size = Number(size);
    this.#isDevice = kind === "block";
  }

  /** Whether this is a block device, whose length cannot be changed. */
  get fixedSize(): boolean {
    return this.#isDevice;
  }

  /** Length of the file or device in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Asks the system for the length again. @throws {QdbError} IO if the length cannot be read; USAGE if the store is closed */
  refresh(): void {
    this.#size = Number(this.#handle.status().size);
  }

  /**
   * Reads exactly `length` bytes at `offset`.
   * @throws {QdbError} SHORT_READ if the range ends past the end of the file; IO if the range cannot be read; LIMIT if the bytes do not fit in
   * memory; USAGE if the store is closed
   */
  readSync(offset: number, length: number): Uint8Array {
    return readExactly(this.#handle, this.#size, offset, length);
  }

  /** Fills `target` with the bytes at `offset`. @throws {QdbError} as {@link readSync} */
  readIntoSync(offset: number, target: Uint8Array): void {
    readInto(this.#handle, this.#size, offset, target);
  }

  /**
   * Writes all bytes at `offset`.
   * @throws {QdbError} IO if a write fails: some of the bytes may be written; POISONED after a failed rewrite; USAGE if the store is closed
   */
  writeSync(offset: number, bytes: Uint8Array): void {
    this.#writable().write(bytes, offset);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  /**
   * Flushes the file (fsync): everything that was written is on the disk when this returns.
   * @throws {QdbError} IO if that fails: which of the written bytes are on the disk is unknown; POISONED after a failed rewrite; USAGE if the
   * store is closed
   */
  flushSync(): void {
    this.#writable().sync();
  }

  /**
   * Cuts the file to a length in bytes; does nothing for a device.
   * @throws {QdbError} IO if that fails; POISONED after a failed rewrite; USAGE if the store is closed
   */
  truncateSync(length: number): void {
    const handle = this.#writable();
    if (this.#isDevice) return;
    handle.truncate(length);
    this.#size = length;
  }

  /**
   * Replaces the file by a new one (spec §5, Creation and rewrite). If the process is killed at any point, the path leads to the old file
   * or to the complete new one. The new file has the mode, owner and group of the old one, but not its other attributes. The store then
   * has the new file open, and its lock.
   * @throws {QdbError} POISONED if a write, flush or rename fails: the store cannot be used any more, and the message says whether the old
   * file is still there. Before anything is written: NOT_SUPPORTED for a device, a file with several names or a path that is not UTF-8,
   * SOURCE_CHANGED if the path no longer leads to this file
   */
  replaceSync(image: FileImage): void {
    if (this.#isDevice) {
      throw new QdbError(
        "NOT_SUPPORTED",
        `${quote(this.path)} is a block device and has no place for a second file: a draft on it cannot be rewritten whole; copy it into a file`,
      );
    }
    const old = this.#writable();
    try {
      this.#handle = replaceFile(this.path, old, image);
    } catch (error) {
      if (!isQdbError(error, "NOT_SUPPORTED", "SOURCE_CHANGED")) throw this.#poison(error);
      throw error;
    }
    this.#size = image.length;
    try {
      old.close();
    } catch {
      // The old file has no name any more, so that nothing is lost if it cannot be closed.
    }
  }

  /**
   * Checks that the path still leads to this file or device.
   * @throws {QdbError} PATH_CHANGED if it leads to another one, or to none; IO if the path cannot be looked up; POISONED after a failed
   * rewrite; USAGE if the store is closed
   */
  confirmSync(): void {
    if (!leadsTo(this.path, this.#writable().status().key)) throw pathChanged(this.path);
  }

  #writable(): Handle {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    return this.#handle;
  }

  #poison(error: unknown): QdbError {
    const message = error instanceof Error ? error.message : String(error);
    this.#poisoned = new QdbError("POISONED", `${message}; open the file anew to go on`, {}, { cause: error });
    return this.#poisoned;
  }

  /** Closes the file and releases the lock. A second call does nothing. @throws {QdbError} IO if the system reports an error */
  close(): void {
    this.#handle.close();
  }
}

/** Opens a file or block device for writing, under its lock. @throws {QdbError} as the constructor of {@link FileStore} */
export function openFileStore(path: string): FileStore {
  return new FileStore(path);
}

function openLocked(path: string): Handle {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const handle = openForWriting(path);
    const isSame = closingOnErrorSync(handle, () => {
      const { key } = handle.status();
      if (!handle.lock()) throw lockedError(path, key);
      // Another file may have been put in the place of the file after it was opened and before it was locked.
      return statusIfThere(path)?.key === key;
    });
    if (isSame) return handle;
    handle.close();
  }
  throw new QdbError(
    "LOCKED",
    `${quote(path)} was replaced ${MAX_ATTEMPTS} times while it was opened; try again when that has ended`,
  );
}

/** Opens a file for writing. The kernel refuses a device that is in use; if a writer of QDB files uses it, the error names that process. */
function openForWriting(path: string): Handle {
  try {
    return Handle.openForWriting(path);
  } catch (error) {
    if (!isQdbError(error, "LOCKED")) throw error;
    const { key } = statusAt(path);
    throw findLockHolder(key, "WRITE") === undefined ? error : lockedError(path, key);
  }
}
