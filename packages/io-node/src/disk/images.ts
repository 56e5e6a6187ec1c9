import { type DiskStamp, isQdbError, QdbError, quote } from "@qdb/format";
import type { Facts } from "../system/facts.ts";
import { Handle } from "../system/handle.ts";
import { settledFacts } from "./settled.ts";
import { stampDiffers } from "./stamp.ts";

/** A disk image that is read through, and must stay as it is meanwhile. */
export class WatchedImage {
  readonly handle: Handle;
  readonly #before: Facts;

  /**
   * Opens it. An image that was written to a moment ago is waited for, up to 2 s, so that a write right after is seen.
   * @throws {QdbError} as opening a file source; SOURCE_CHANGED when it is written to all the time
   */
  constructor(path: string) {
    this.handle = Handle.openForReading(path);
    try {
      const { facts, isSettled } = settledFacts(() => this.handle.facts());
      this.#before = facts;
      if (!isSettled) throw this.#changed(undefined);
    } catch (error) {
      this.handle.closeAfterError();
      throw error;
    }
  }

  /** What the system said when it was opened, from when on changes are seen. */
  get facts(): Facts {
    return this.#before;
  }

  /** Length in bytes. */
  get size(): bigint {
    return this.#before.size;
  }

  /** See {@link Facts.key}. */
  get key(): string {
    return this.#before.key;
  }

  /** As the handle's; an image that became shorter has changed. @throws {QdbError} SOURCE_CHANGED, IO */
  readInto(target: Uint8Array, length: number, offset: number): void {
    try {
      this.handle.readInto(target, length, offset);
    } catch (error) {
      throw isQdbError(error, "SHORT_READ") ? this.#changed(error) : error;
    }
  }

  /** Compares with a stamp that was taken before it was opened. @throws {QdbError} SOURCE_CHANGED when it differs */
  requireStamp(stamp: DiskStamp): void {
    if (stampDiffers(stamp, this.#before)) throw this.#changed(undefined);
  }

  /** @throws {QdbError} SOURCE_CHANGED when length or mtime are not what they were, IO */
  checkUnchanged(): void {
    const now = this.handle.facts();
    if (now.size !== this.#before.size || now.mtimeNs !== this.#before.mtimeNs) throw this.#changed(undefined);
  }

  #changed(cause: unknown): QdbError {
    const message = `${quote(this.handle.path)} was changed while it was read; stop what writes to it, or take a snapshot, and start again`;
    return new QdbError("SOURCE_CHANGED", message, {}, { cause });
  }
}
