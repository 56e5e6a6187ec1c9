import type { BitRange } from "../bitmap/shape.ts";
import * as kernel from "../bitmap/words.ts";
import type { Sha256 } from "../ports/digest.ts";
import type { BitVisitor } from "./cluster-windows.ts";

const BLOCK = 64 * 1024;

/** A visitor that computes the SHA-256 of a bitmap's bits: ceil(bitCount / 8) bytes, with zeros behind the last bit (spec §6). */
export class BitsHasher implements BitVisitor {
  readonly #sha256: Sha256;
  readonly #bytes: number;
  readonly #tailBits: number;
  /** Number of bytes hashed so far. */
  #done = 0;
  #zeros: Uint8Array | undefined;
  #ones: Uint8Array | undefined;

  constructor(sha256: Sha256, bitCount: number) {
    this.#sha256 = sha256;
    this.#bytes = Math.ceil(bitCount / 8);
    this.#tailBits = bitCount % 8;
  }

  pushWords(words: Uint32Array, base: number): void {
    this.#fillTo(base / 8);
    const length = Math.min(words.byteLength, this.#bytes - this.#done);
    this.#sha256.update(kernel.bytesFromWords(words, 0, length));
    this.#done += length;
  }

  pushDirty({ first, end }: BitRange): void {
    this.#fillTo(first / 8);
    const whole = Math.floor(end / 8);
    this.#ones ??= this.#block().fill(0xff);
    this.#repeat(this.#ones, whole);
    if (end % 8 === 0) return;
    this.#sha256.update(Uint8Array.of((1 << this.#tailBits) - 1));
    this.#done++;
  }

  pushClean(): void {
    // The zeros are hashed when the next dirty bits, or the end, tell how many there are.
  }

  /** Ends the digest; returns it in hex digits. */
  finish(): string {
    this.#fillTo(this.#bytes);
    return this.#sha256.hex();
  }

  #fillTo(byte: number): void {
    if (this.#done >= byte) return;
    this.#zeros ??= this.#block();
    this.#repeat(this.#zeros, byte);
  }

  /** A block of zeros to hash from, no longer than the bitmap: in a file with many bitmaps most are small. */
  #block(): Uint8Array {
    return new Uint8Array(Math.min(BLOCK, this.#bytes));
  }

  #repeat(block: Uint8Array, end: number): void {
    while (this.#done < end) {
      const length = Math.min(block.length, end - this.#done);
      this.#sha256.update(block.subarray(0, length));
      this.#done += length;
    }
  }
}
