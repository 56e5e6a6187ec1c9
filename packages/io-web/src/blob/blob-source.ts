import type { ByteRange, ByteSource } from "@qdb/format";
import { closedError } from "../system/errors.ts";
import { readBlob, readBlobRanges } from "../system/read-blob.ts";

/**
 * A `Blob`, or a `File` that was dropped or picked, as a source. A read returns exactly the bytes asked for or throws. It is not marked as
 * immutable, although its length never changes: a browser notices that a file on the disk was changed by its modification time only, and
 * a part of such a file is a `Blob` too. So readers read the header again after the bits, as they do for every file with a writer.
 */
export class BlobSource implements ByteSource {
  readonly #blob: Blob;
  #isClosed = false;

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#blob.size;
  }

  /**
   * Reads exactly `length` bytes at `offset`.
   * @throws {QdbError} SHORT_READ if the range ends past the end; IO if the browser cannot read it, for example because the file on the
   * disk was changed or removed since it was chosen; USAGE if the source is closed
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#isClosed) throw closedError("the source");
    return readBlob(this.#blob, offset, length);
  }

  /** Reads ranges, those that are near at once. @throws {QdbError} as {@link read} */
  async readMany(ranges: readonly ByteRange[]): Promise<readonly Uint8Array[]> {
    if (this.#isClosed) throw closedError("the source");
    return readBlobRanges(this.#blob, ranges);
  }

  /** Ends the use of the source. The Blob stays as it is. */
  close(): void {
    this.#isClosed = true;
  }
}
