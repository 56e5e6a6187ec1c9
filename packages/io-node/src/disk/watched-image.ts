import { type DiskStamp, isQdbError, QdbError, quote } from "@qdb/format";
import { closingOnErrorSync } from "@qdb/format/internal";
import type { FileStatus } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { readExactly } from "../system/read-exactly.ts";
import { settledStatus } from "./settled-status.ts";
import { stampDiffers } from "./stamp.ts";

/** An open disk image that must not change while it is read. */
export class WatchedImage {
  readonly handle: Handle;
  readonly #before: FileStatus;

  /**
   * Opens the image. Waits up to 2 s if it was written a moment ago, so that a further write changes its mtime.
   * @throws {QdbError} as the constructor of `FileSource`; SOURCE_CHANGED if the image is written again each time that its status is read
   */
  constructor(path: string) {
    this.handle = Handle.openForReading(path);
    this.#before = closingOnErrorSync(this.handle, () => {
      const { status, isSettled } = settledStatus(() => this.handle.status());
      if (!isSettled) throw changed(this.handle);
      return status;
    });
  }

  /** The status that the image had when it was opened. {@link checkUnchanged} compares the current status with it. */
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

  /** Reads as {@link Handle.readInto} does. @throws {QdbError} SOURCE_CHANGED if the image is shorter than it was; IO if the read fails */
  readInto(target: Uint8Array, length: number, offset: number): void {
    readIntoWatched(this.handle, target, length, offset);
  }

  /** Reads exactly `length` bytes at `offset` into a new buffer. @throws {QdbError} as {@link readInto}; LIMIT if memory does not suffice */
  read(offset: number, length: number): Uint8Array {
    return reading(this.handle, () => readExactly(this.handle, Number(this.size), offset, length));
  }

  /** Compares the image with a stamp that was taken before it was opened. @throws {QdbError} SOURCE_CHANGED if it differs */
  requireStamp(stamp: DiskStamp): void {
    if (stampDiffers(stamp, this.#before)) throw changed(this.handle);
  }

  /** Checks that length and mtime are those of {@link status}. @throws {QdbError} SOURCE_CHANGED if they are not; IO if they cannot be read */
  checkUnchanged(): void {
    const now = this.handle.status();
    if (now.size !== this.#before.size || now.mtimeNs !== this.#before.mtimeNs) throw changed(this.handle);
  }
}

/**
 * Reads into the beginning of `target` from an image that must not change.
 * @throws {QdbError} SOURCE_CHANGED if the image ends before that: it was longer when it was opened; IO if the read fails
 */
export function readIntoWatched(image: Handle, target: Uint8Array, length: number, offset: number): void {
  reading(image, () => image.readInto(target, length, offset));
}

function reading<T>(image: Handle, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw isQdbError(error, "SHORT_READ") ? changed(image, error) : error;
  }
}

function changed({ path }: Handle, cause?: unknown): QdbError {
  const message = `${quote(path)} was changed while it was read; stop what writes to it, or take a snapshot, and start again`;
  return new QdbError("SOURCE_CHANGED", message, {}, { cause });
}
