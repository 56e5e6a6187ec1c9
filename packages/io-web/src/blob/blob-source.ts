import type { ByteRange, ByteSource } from "@qdb/format";
import { itemAt } from "@qdb/format/internal";
import { BlobReader } from "../system/blob-reader.ts";
import { closedError } from "../system/errors.ts";

/**
 * A `Blob`, or a `File` that was dropped or picked, as a source. A read returns exactly the bytes asked for or throws. It is not marked as
 * immutable, although its length never changes: a browser notices that a file on the disk was changed by its modification time only, and
 * a part of such a file is a `Blob` too. So readers read the header again after the bits, as they do for every file with a writer.
 */
export class BlobSource implements ByteSource {
  readonly #reader: BlobReader;
  #isClosed = false;

  constructor(blob: Blob) {
    this.#reader = new BlobReader(blob);
  }

  /** Length in bytes. */
  get size(): number {
    return this.#reader.size;
  }

  /** Reads exactly `length` bytes at `offset`. @throws {QdbError} as {@link readMany} */
  async read(offset: number, length: number): Promise<Uint8Array> {
    return itemAt(await this.readMany([{ offset, length }]), 0);
  }

  /**
   * Reads ranges, those that are near at once. From front to back, up to 16 MiB are read ahead.
   * @throws {QdbError} SHORT_READ if a range ends past the end; IO if the browser cannot read it, for example because the file on the disk was
   * changed or removed since it was chosen; USAGE if the source is closed
   */
  async readMany(ranges: readonly ByteRange[]): Promise<readonly Uint8Array[]> {
    if (this.#isClosed) throw closedError("the source");
    return this.#reader.readMany(ranges);
  }

  /** Ends the use of the source. The Blob stays as it is. */
  close(): void {
    this.#isClosed = true;
  }
}
