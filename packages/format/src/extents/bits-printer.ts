import { bytesOfWords } from "../bitmap/bit-bytes.ts";
import type { BitRange } from "../bitmap/shape.ts";

/** Maximum number of bytes that are passed on at a time. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Prints bits, which are pushed in ascending order, as plain bytes: ceil(bits / 8) of them, least significant bit first. Bits past the last
 * one are zero. Bits that are not pushed are clean.
 */
export class BitsPrinter {
  readonly #take: (bytes: Uint8Array) => void;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  /** Number of bytes that were passed on, and of those in the piece. */
  #passed = 0;
  #used = 0;

  /** `take` receives the bytes in pieces. It must not keep them: their place is used again. */
  constructor(take: (bytes: Uint8Array) => void) {
    this.#take = take;
  }

  /** Receives bits as words. `base`, a multiple of 32, is the index of their first bit. @throws {unknown} what `take` throws */
  pushWords(words: Uint32Array, base: number): void {
    this.#fill(base / 8, 0);
    const bytes = bytesOfWords(words, words.length * 4);
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#room());
      this.#piece.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
  }

  /** Receives bits that are all dirty. The first one is a multiple of 8, and so is the end, except for the last bits. @throws {unknown} what `take` throws */
  pushDirty({ first, end }: BitRange): void {
    this.#fill(first / 8, 0);
    this.#fill(Math.floor(end / 8), 0xff);
    if (end % 8 === 0) return;
    this.#room();
    this.#piece[this.#used++] = (1 << (end % 8)) - 1;
  }

  /** Receives clean bits, which are printed once the next bits are pushed. */
  pushClean(): void {}

  /** Prints clean bits up to the last of `bitCount` bits. Call it after the last bits. @throws {unknown} what `take` throws */
  finish(bitCount: number): void {
    const end = Math.ceil(bitCount / 8);
    this.#fill(end, 0);
    // The words of the last cluster go on after the last bit, but not past the piece: words are pushed in steps of 64 KiB or less, which end
    // with a cluster or at a multiple of 64 KiB, and so does a piece.
    const extra = this.#passed + this.#used - end;
    if (extra > this.#used) throw new Error(`${extra} bytes were printed past the last bit`);
    this.#used -= extra;
    if (this.#used > 0) this.#pass();
  }

  /** Prints bytes of one value up to the byte `end`. */
  #fill(end: number, value: number): void {
    for (let rest = end - this.#passed - this.#used; rest > 0; ) {
      const length = Math.min(rest, this.#room());
      this.#piece.fill(value, this.#used, this.#used + length);
      this.#used += length;
      rest -= length;
    }
  }

  /** Returns the number of free bytes of the piece, after it was passed on if it was full. */
  #room(): number {
    if (this.#used === PIECE_BYTES) this.#pass();
    return PIECE_BYTES - this.#used;
  }

  #pass(): void {
    this.#take(this.#piece.subarray(0, this.#used));
    this.#passed += this.#used;
    this.#used = 0;
  }
}
