// Bytes of a file that can be far longer than memory. They are kept in pages of 64 KiB; a page that was not written takes no memory.
import { createHash } from "node:crypto";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";

/** Size of a page in bytes. */
const PAGE_SIZE = 65536;

/** Bytes of a fixed length. Those that were not written are zero. */
export class SparseBytes {
  /** Length in bytes. */
  readonly length: number;
  /** Pages by their number: page n begins at offset n * 65536. */
  readonly #pages = new Map<number, Uint8Array>();

  constructor(length: number) {
    this.length = length;
  }

  /** Writes bytes at an offset. @throws {Error} if they end past the end */
  write(offset: number, bytes: Uint8Array): void {
    this.#requireInside(offset, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const at = (offset + done) % PAGE_SIZE;
      const count = Math.min(PAGE_SIZE - at, bytes.length - done);
      this.#page(Math.floor((offset + done) / PAGE_SIZE)).set(bytes.subarray(done, done + count), at);
      done += count;
    }
  }

  /** Writes `length` times the same byte. @throws {Error} if the range ends past the end */
  fill(offset: number, byte: number, length: number): void {
    this.#requireInside(offset, length);
    for (let done = 0; done < length; ) {
      const at = (offset + done) % PAGE_SIZE;
      const count = Math.min(PAGE_SIZE - at, length - done);
      this.#page(Math.floor((offset + done) / PAGE_SIZE)).fill(byte, at, at + count);
      done += count;
    }
  }

  /** Returns a copy of the first `length` bytes. @throws {Error} if that is not shorter */
  cut(length: number): SparseBytes {
    if (length >= this.length) throw new Error(`${length} cuts nothing off ${this.length} bytes`);
    const shorter = new SparseBytes(length);
    for (const [page, bytes] of this.written()) {
      const start = page * PAGE_SIZE;
      if (start < length) shorter.write(start, bytes.subarray(0, Math.min(PAGE_SIZE, length - start)));
    }
    return shorter;
  }

  /** Returns a copy of a range. @throws {Error} if the range ends past the end */
  read(offset: number, length: number): Uint8Array {
    this.#requireInside(offset, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = (offset + done) % PAGE_SIZE;
      const count = Math.min(PAGE_SIZE - at, length - done);
      const page = this.#pages.get(Math.floor((offset + done) / PAGE_SIZE));
      if (page !== undefined) bytes.set(page.subarray(at, at + count), done);
      done += count;
    }
    return bytes;
  }

  /** Returns a copy of all bytes. The length must fit in memory. */
  bytes(): Uint8Array {
    return this.read(0, this.length);
  }

  /** Yields the pages that are not all zeros, in ascending order. Each has 65536 bytes, even the last one if the length ends inside it. */
  *written(): Generator<readonly [page: number, bytes: Uint8Array]> {
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const bytes = this.#pages.get(number);
      if (bytes?.some((byte) => byte !== 0)) yield [number, bytes];
    }
  }

  /**
   * Returns a digest in hex: SHA-256 over the number as u64 and the SHA-256 of each page that is not all zeros, then the length as u64.
   * Integers are big-endian. Pages of zeros are not hashed, so that the digest of a long, sparse file takes little time.
   */
  digest(): string {
    const hash = createHash("sha256");
    for (const [page, bytes] of this.written()) {
      hash.update(u64(page));
      hash.update(createHash("sha256").update(bytes).digest());
    }
    return hash.update(u64(this.length)).digest("hex");
  }

  /** Writes the bytes into a new file. Pages of zeros become holes. @throws {Error} if there is a file already, or if a write fails */
  save(path: string): void {
    const file = openSync(path, "wx");
    try {
      for (const [page, bytes] of this.written()) {
        const part = bytes.subarray(0, Math.min(PAGE_SIZE, this.length - page * PAGE_SIZE));
        for (let done = 0; done < part.length; )
          done += writeSync(file, part, done, part.length - done, page * PAGE_SIZE + done);
      }
      ftruncateSync(file, this.length);
    } finally {
      closeSync(file);
    }
  }

  /** Returns a page, which is made if it is not there. */
  #page(number: number): Uint8Array {
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE_SIZE);
      this.#pages.set(number, page);
    }
    return page;
  }

  /** @throws {Error} if a range ends past the end */
  #requireInside(offset: number, length: number): void {
    if (offset + length > this.length)
      throw new Error(`${length} bytes at ${offset} end past the length of ${this.length}`);
  }
}

/** Encodes a u64, big-endian. */
function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
