import { isQdbError, QdbError, quote } from "@qdb/format";
import type { SyncStore } from "@qdb/format/container";
import { closingOnErrorSync } from "@qdb/format/internal";
import { pathChanged } from "../system/errors.ts";
import { leadsTo, statusAt, statusIfThere } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { findWriter, lockedError } from "../system/lock-state.ts";
import { readExactly, readInto } from "../system/read-exactly.ts";
import { requireWritableHost } from "../system/writable-host.ts";

/** Maximum number of attempts to open a file that is replaced each time after it was opened and before it was locked. */
const MAX_ATTEMPTS = 8;

/**
 * A file or block device that is changed in place. It holds the kernel's exclusive lock from opening to close. The kernel releases the lock
 * when the process ends, however it ends. The lock excludes other writers of this project only: readers take none.
 */
export class LockedFile implements SyncStore {
  /** The path as it was given. */
  readonly path: string;
  /** @internal */
  protected handle: Handle;
  #size: number;
  readonly #isDevice: boolean;

  /**
   * Opens and locks the file or device.
   * @throws {QdbError} LOCKED at once if another process holds the lock, which the message names if the system reports it; NOT_FOUND if there
   * is no such file; USAGE for a directory, pipe, socket or character device; NOT_SUPPORTED on other hosts than Linux, or if the command
   * flock of util-linux is missing; LIMIT if it has 2^53 bytes or more; IO if it cannot be opened or locked
   */
  constructor(path: string) {
    requireWritableHost();
    this.path = path;
    this.handle = openLocked(path);
    const { kind, size } = closingOnErrorSync(this.handle, () => this.handle.status());
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
    this.#size = Number(this.handle.status().size);
  }

  /**
   * Reads exactly `length` bytes at `offset`.
   * @throws {QdbError} SHORT_READ if the range ends past the end of the file; IO if the range cannot be read; LIMIT if the bytes do not fit in
   * memory; USAGE if the store is closed
   */
  readSync(offset: number, length: number): Uint8Array {
    return readExactly(this.handle, this.#size, offset, length);
  }

  /** Fills `target` with the bytes at `offset`. @throws {QdbError} as {@link readSync} */
  readIntoSync(offset: number, target: Uint8Array): void {
    readInto(this.handle, this.#size, offset, target);
  }

  /**
   * Writes all bytes at `offset`.
   * @throws {QdbError} IO if a write fails: some of the bytes may be written; USAGE if the store is closed
   */
  writeSync(offset: number, bytes: Uint8Array): void {
    this.writable().write(bytes, offset);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  /**
   * Flushes the file (fsync): everything that was written is on the disk when this returns.
   * @throws {QdbError} IO if that fails: which of the written bytes are on the disk is unknown; USAGE if the
   * store is closed
   */
  flushSync(): void {
    this.writable().sync();
  }

  /**
   * Cuts the file to a length in bytes; does nothing for a device.
   * @throws {QdbError} IO if that fails; USAGE if the store is closed
   */
  truncateSync(length: number): void {
    const handle = this.writable();
    if (this.#isDevice) return;
    handle.truncate(length);
    this.#size = length;
  }

  /**
   * Checks that the path still leads to this file or device.
   * @throws {QdbError} PATH_CHANGED if it leads to another one, or to none; IO if the path cannot be looked up; USAGE if the store is closed
   */
  confirmSync(): void {
    if (!leadsTo(this.path, this.writable().status().key)) throw pathChanged(this.path);
  }

  /** Returns the handle for a change. A store that must refuse changes, or look at something before them, overrides it. @internal */
  protected writable(): Handle {
    return this.handle;
  }

  /** Goes on with another file, of this length in bytes, that has taken the place of this one. @internal */
  protected adopt(handle: Handle, size: number): void {
    this.handle = handle;
    this.#size = size;
  }

  /** Closes the file and releases the lock. A second call does nothing. @throws {QdbError} IO if the system reports an error */
  close(): void {
    this.handle.close();
  }
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
    throw findWriter(key) === undefined ? error : lockedError(path, key);
  }
}
