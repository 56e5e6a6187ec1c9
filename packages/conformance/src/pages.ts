// Bytes of a file that may be far longer than memory: pages of 64 KiB, of which only those that were written exist.
import { createHash } from "node:crypto";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";

const PAGE = 65536;

/** Whether a value is a text. */
export function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** A count or an offset: a number, or decimal or `0x` text. @throws {Error} for anything that is no exact integer from 0 on */
export function numberOf(value: number | string | undefined): number {
  const number = isText(value) ? Number(BigInt(value)) : value;
  if (number === undefined || !Number.isSafeInteger(number) || number < 0)
    throw new Error(`${value} is no number here`);
  return number;
}

/** A sparse run of bytes, zeros where nothing was written. */
export class Pages {
  readonly length: number;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(length: number) {
    this.length = length;
  }

  /** Puts bytes at an offset. @throws {Error} past the end */
  write(offset: number, bytes: Uint8Array): void {
    this.#within(offset, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const at = (offset + done) % PAGE;
      const count = Math.min(PAGE - at, bytes.length - done);
      this.#page(Math.floor((offset + done) / PAGE)).set(bytes.subarray(done, done + count), at);
      done += count;
    }
  }

  /** Puts one byte many times. @throws {Error} past the end */
  fill(offset: number, byte: number, length: number): void {
    this.#within(offset, length);
    for (let done = 0; done < length; ) {
      const at = (offset + done) % PAGE;
      const count = Math.min(PAGE - at, length - done);
      this.#page(Math.floor((offset + done) / PAGE)).fill(byte, at, at + count);
      done += count;
    }
  }

  /** The first bytes, as a file of that length. @throws {Error} when it is no shorter */
  cut(length: number): Pages {
    if (length >= this.length) throw new Error(`${length} cuts nothing off ${this.length} bytes`);
    const shorter = new Pages(length);
    for (const [page, bytes] of this.written()) {
      const start = page * PAGE;
      if (start < length) shorter.write(start, bytes.subarray(0, Math.min(PAGE, length - start)));
    }
    return shorter;
  }

  /** A copy of a range. @throws {Error} past the end */
  read(offset: number, length: number): Uint8Array {
    this.#within(offset, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = (offset + done) % PAGE;
      const count = Math.min(PAGE - at, length - done);
      const page = this.#pages.get(Math.floor((offset + done) / PAGE));
      if (page !== undefined) bytes.set(page.subarray(at, at + count), done);
      done += count;
    }
    return bytes;
  }

  /** All bytes; for files that are small. */
  bytes(): Uint8Array {
    return this.read(0, this.length);
  }

  /** Pages that hold something else than zeros, ascending: number of the page and its bytes, the last one whole too. */
  *written(): Generator<readonly [page: number, bytes: Uint8Array]> {
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const bytes = this.#pages.get(number);
      if (bytes?.some((byte) => byte !== 0)) yield [number, bytes];
    }
  }

  /** SHA-256 over (u64 page number, SHA-256 of the page) of the pages that are not zero, then the length as u64: a digest of any file in little time. */
  digest(): string {
    const hash = createHash("sha256");
    for (const [page, bytes] of this.written()) {
      hash.update(u64(page));
      hash.update(createHash("sha256").update(bytes).digest());
    }
    return hash.update(u64(this.length)).digest("hex");
  }

  /** Makes a file of it, with holes where nothing was written. */
  save(path: string): void {
    const file = openSync(path, "wx");
    try {
      for (const [page, bytes] of this.written()) {
        const part = bytes.subarray(0, Math.min(PAGE, this.length - page * PAGE));
        for (let done = 0; done < part.length; )
          done += writeSync(file, part, done, part.length - done, page * PAGE + done);
      }
      ftruncateSync(file, this.length);
    } finally {
      closeSync(file);
    }
  }

  #page(number: number): Uint8Array {
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE);
      this.#pages.set(number, page);
    }
    return page;
  }

  #within(offset: number, length: number): void {
    if (offset + length > this.length)
      throw new Error(`${length} bytes at ${offset} end past the length of ${this.length}`);
  }
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
