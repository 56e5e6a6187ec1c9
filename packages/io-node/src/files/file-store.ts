import { type FileImage, isQdbError, QdbError, quote, type SyncStore } from "@qdb/format";
import { replaceFile } from "../create/replace-file.ts";
import { pathChanged } from "../system/errors.ts";
import { readExactly } from "../system/exact.ts";
import { factsAt, factsIfThere, leadsTo } from "../system/facts.ts";
import { Handle } from "../system/handle.ts";
import { requireWritableHost } from "../system/host.ts";
import { findLockHolder, lockedError } from "../system/lock-state.ts";

/** Times that an opening starts over when the file under the path is another one each time. */
const MAX_ATTEMPTS = 8;

/**
 * A file or block device as a store, under the kernel's exclusive lock from opening to close (spec §5, step 1). The lock is
 * on the open file itself: nothing is left to clear away when the process ends, however it ends. It keeps out
 * those who take it too; readers take none.
 */
export class FileStore implements SyncStore {
  /** The path as it was given. */
  readonly path: string;
  #handle: Handle;
  #size: number;
  readonly #isDevice: boolean;
  /** What a failed rewrite ended the store with. */
  #poisoned: QdbError | undefined;

  /**
   * @throws {QdbError} LOCKED at once, naming the process that has it where the system tells; NOT_FOUND; USAGE for a
   * directory, pipe, socket or character device; NOT_SUPPORTED on other hosts than Linux and without util-linux's flock; LIMIT; IO
   */
  constructor(path: string) {
    requireWritableHost();
    this.path = path;
    this.#handle = openLocked(path);
    try {
      const { kind, size } = this.#handle.facts();
      this.#size = Number(size);
      this.#isDevice = kind === "block";
    } catch (error) {
      this.#handle.closeAfterError();
      throw error;
    }
  }

  /** Whether this is a block device, whose length is not the file's own to choose. */
  get fixedSize(): boolean {
    return this.#isDevice;
  }

  /** Length in bytes; of a device, all of it. */
  get size(): number {
    return this.#size;
  }

  /** Asks for the length again. @throws {QdbError} IO; USAGE once closed */
  refresh(): void {
    this.#size = Number(this.#handle.facts().size);
  }

  /** Reads exactly `length` bytes at `offset`. @throws {QdbError} SHORT_READ where the file ends before that; IO; LIMIT for more than memory takes; USAGE once closed */
  readSync(offset: number, length: number): Uint8Array {
    return readExactly(this.#handle, this.#size, offset, length);
  }

  /** Writes all bytes at `offset`. @throws {QdbError} IO, when a part of them may be written; USAGE once closed */
  writeSync(offset: number, bytes: Uint8Array): void {
    this.#writable().write(bytes, offset);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  /** Returns when everything written is on the disk (fsync). @throws {QdbError} IO: nothing may be assumed about what was written then; USAGE once closed */
  flushSync(): void {
    this.#writable().sync();
  }

  /** Cuts the file to a length in bytes; a device keeps its own. @throws {QdbError} IO; USAGE once closed */
  truncateSync(length: number): void {
    const handle = this.#writable();
    if (this.#isDevice) return;
    handle.truncate(length);
    this.#size = length;
  }

  /**
   * Puts another file in this one's place (spec §5, Creation and rewrite): after a kill at any point the path leads to the old
   * file or to the new one, whole. Mode, owner and group stay; other attributes do not. The store goes on with the new file and
   * its lock. A write, flush or rename that fails ends the store.
   * @throws {QdbError} POISONED, the message says whether the old file is still there; before anything was written NOT_SUPPORTED for a
   * device or a file with several names, SOURCE_CHANGED when the path leads elsewhere by now
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
    // It has no name any more: nothing of it can be lost now.
    old.closeAfterError();
  }

  /** Looks whether the path still leads to this file or device. @throws {QdbError} PATH_CHANGED; IO where it cannot be seen; USAGE once closed */
  confirmSync(): void {
    if (!leadsTo(this.path, this.#writable().facts().key)) throw pathChanged(this.path);
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

  /** Closes the file, and with it the lock; does nothing the second time. @throws {QdbError} IO */
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
    try {
      const { key } = handle.facts();
      if (!handle.lock()) throw lockedError(path, key);
      // Who waits for nothing can still come too late: the file may have been replaced between opening and lock.
      if (factsIfThere(path)?.key === key) return handle;
    } catch (error) {
      handle.closeAfterError();
      throw error;
    }
    handle.close();
  }
  throw new QdbError(
    "LOCKED",
    `${quote(path)} was replaced ${MAX_ATTEMPTS} times while it was opened; try again when that has ended`,
  );
}

/** A device in use is refused by the kernel when it is opened: where a writer of ours has it, that one is named. */
function openForWriting(path: string): Handle {
  try {
    return Handle.openForWriting(path);
  } catch (error) {
    if (!isQdbError(error, "LOCKED")) throw error;
    const { key } = factsAt(path);
    throw findLockHolder(key, "WRITE") === undefined ? error : lockedError(path, key);
  }
}
