import { type SyncStore, shortRead } from "@qdb/format/container";

/** What an operation asks of the store of a file. */
export interface Cost {
  /** Calls of any kind. */
  readonly calls: number;
  readonly reads: number;
  readonly bytesRead: number;
  readonly writes: number;
  readonly bytesWritten: number;
  /** Waits for the disk. */
  readonly fsyncs: number;
}

/** A file in memory that counts what is asked of it. */
export class CountingStore implements SyncStore {
  /** The bytes, and room for more. */
  #bytes: Uint8Array;
  #size: number;
  readonly #cost = { calls: 0, reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0, fsyncs: 0 };

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  /** What was asked so far. */
  get cost(): Cost {
    return { ...this.#cost };
  }

  readSync(offset: number, length: number): Uint8Array {
    this.#cost.calls++;
    this.#cost.reads++;
    this.#cost.bytesRead += length;
    if (offset + length > this.size) throw shortRead(offset, length, this.size);
    return this.#bytes.slice(offset, offset + length);
  }

  writeSync(offset: number, bytes: Uint8Array): void {
    this.#cost.calls++;
    this.#cost.writes++;
    this.#cost.bytesWritten += bytes.length;
    const end = offset + bytes.length;
    if (end > this.size) this.#resize(end);
    this.#bytes.set(bytes, offset);
  }

  flushSync(): void {
    this.#cost.calls++;
    this.#cost.fsyncs++;
  }

  truncateSync(length: number): void {
    this.#cost.calls++;
    this.#resize(length);
  }

  confirmSync(): void {
    this.#cost.calls++;
  }

  #resize(length: number): void {
    if (length > this.#bytes.length) {
      const longer = new Uint8Array(2 * length);
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    // Bytes that are cut off read as zeros if the file grows again.
    this.#bytes.fill(0, length, this.#size);
    this.#size = length;
  }
}
