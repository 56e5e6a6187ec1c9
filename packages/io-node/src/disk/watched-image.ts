import { type DiskStamp, isQdbError, QdbError, quote } from "@qdb/format";
import { closingOnErrorSync } from "@qdb/format/internal";
import type { FileStatus } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { settledStatus } from "./settled-status.ts";
import { stampDiffers } from "./stamp.ts";

/** A disk image that is read from start to end and must not change meanwhile. */
export class WatchedImage {
  readonly handle: Handle;
  readonly #before: FileStatus;

  /**
   * Opens the image. Waits up to 2 s when it was written a moment ago, so that a further write changes its mtime.
   * @throws {QdbError} as opening a file source; SOURCE_CHANGED when it keeps being written
   */
  constructor(path: string) {
    this.handle = Handle.openForReading(path);
    this.#before = closingOnErrorSync(this.handle, () => {
      const { status, isSettled } = settledStatus(() => this.handle.status());
      if (!isSettled) throw this.#changed(undefined);
      return status;
    });
  }

  /** The status when it was opened. Later changes are found by comparing with it. */
  get status(): FileStatus {
    return this.#before;
  }

  /** Length in bytes. */
  get size(): bigint {
    return this.#before.size;
  }

  /** See {@link FileStatus.key}. */
  get key(): string {
    return this.#before.key;
  }

  /** Like {@link Handle.readInto}, but a short read means that the image changed. @throws {QdbError} SOURCE_CHANGED, IO */
  readInto(target: Uint8Array, length: number, offset: number): void {
    try {
      this.handle.readInto(target, length, offset);
    } catch (error) {
      throw isQdbError(error, "SHORT_READ") ? this.#changed(error) : error;
    }
  }

  /** Checks the image against a stamp taken before it was opened. @throws {QdbError} SOURCE_CHANGED when they differ */
  requireStamp(stamp: DiskStamp): void {
    if (stampDiffers(stamp, this.#before)) throw this.#changed(undefined);
  }

  /** @throws {QdbError} SOURCE_CHANGED when length or mtime changed, IO */
  checkUnchanged(): void {
    const now = this.handle.status();
    if (now.size !== this.#before.size || now.mtimeNs !== this.#before.mtimeNs) throw this.#changed(undefined);
  }

  #changed(cause: unknown): QdbError {
    const message = `${quote(this.handle.path)} was changed while it was read; stop what writes to it, or take a snapshot, and start again`;
    return new QdbError("SOURCE_CHANGED", message, {}, { cause });
  }
}
