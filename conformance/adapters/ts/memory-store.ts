// SPDX-License-Identifier: CC0-1.0 OR MIT
import { type FileImage, imageBytes, type SyncStore, shortRead } from "@qdb/format/container";

/** Bytes in memory that can be changed. */
export class MemoryStore implements SyncStore {
  bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    // A copy, and no Buffer: whose slices would share its memory.
    this.bytes = new Uint8Array(bytes);
  }

  get size(): number {
    return this.bytes.length;
  }

  readSync(offset: number, length: number): Uint8Array {
    if (offset + length > this.bytes.length) throw shortRead(offset, length, this.bytes.length);
    return this.bytes.slice(offset, offset + length);
  }

  writeSync(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.bytes.length) {
      const longer = new Uint8Array(offset + bytes.length);
      longer.set(this.bytes);
      this.bytes = longer;
    }
    this.bytes.set(bytes, offset);
  }

  flushSync(): void {
    // Memory keeps what was written.
  }

  truncateSync(length: number): void {
    this.bytes = this.bytes.slice(0, length);
  }

  replaceSync(image: FileImage): void {
    this.bytes = imageBytes(image);
  }
}
