import { isQdbError, QdbError, quote } from "@qdb/format";
import type { FileImage } from "@qdb/format/container";
import { replaceFile } from "../create/replace-file.ts";
import type { Handle } from "../system/handle.ts";
import { LockedFile } from "./locked-file.ts";

/**
 * A file or block device as a store of a QDB file. It holds the kernel's exclusive lock from opening to close (spec §5, step 1). After a failed
 * rewrite, every call that changes or confirms something throws POISONED.
 */
export class FileStore extends LockedFile {
  /** The error of a failed rewrite; every later write throws it. */
  #poisoned: QdbError | undefined;

  /**
   * Replaces the file by a new one (spec §5, Creation and rewrite). If the process is killed at any point, the path leads to the old file
   * or to the complete new one. The new file has the mode, owner and group of the old one, but not its other attributes. The store then
   * has the new file open, and its lock.
   * @throws {QdbError} POISONED if a write, flush or rename fails: the store cannot be used any more, and the message says whether the old
   * file is still there. Before anything is written: NOT_SUPPORTED for a device, a file with several names or a path that is not UTF-8,
   * SOURCE_CHANGED if the path no longer leads to this file
   */
  replaceSync(image: FileImage): void {
    if (this.fixedSize) {
      throw new QdbError(
        "NOT_SUPPORTED",
        `${quote(this.path)} is a block device and has no place for a second file: a draft on it cannot be rewritten whole; copy it into a file`,
      );
    }
    const old = this.writable();
    try {
      this.adopt(replaceFile(this.path, old, image), image.length);
    } catch (error) {
      if (!isQdbError(error, "NOT_SUPPORTED", "SOURCE_CHANGED")) throw this.#poison(error);
      throw error;
    }
    try {
      old.close();
    } catch {
      // The old file has no name any more, so that nothing is lost if it cannot be closed.
    }
  }

  /** @internal */
  protected override writable(): Handle {
    if (this.#poisoned !== undefined) throw this.#poisoned;
    return super.writable();
  }

  #poison(error: unknown): QdbError {
    const message = error instanceof Error ? error.message : String(error);
    this.#poisoned = new QdbError("POISONED", `${message}; open the file anew to go on`, {}, { cause: error });
    return this.#poisoned;
  }
}

/** Opens a file or block device for writing, under its lock. @throws {QdbError} as the constructor of {@link FileStore} */
export function openFileStore(path: string): FileStore {
  return new FileStore(path);
}
