import { bytesOfWords } from "../bitmap/bit-bytes.ts";
import type { BitRange } from "../bitmap/shape.ts";
import type { Sha256 } from "../ports/digest.ts";
import type { BitVisitor } from "./cluster-windows.ts";

/** Maximum length in bytes of the block of equal bytes that is hashed, again and again, for a run of zeros or ones. */
const BLOCK = 64 * 1024;

/** A visitor that computes the SHA-256 of all bits of a bitmap: ceil(bitCount / 8) bytes, with zeros after the last bit (spec §6). */
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
    this.#sha256.update(bytesOfWords(words, length));
    this.#done += length;
  }

  pushDirty({ first, end }: BitRange): void {
    this.#fillTo(first / 8);
    const whole = Math.floor(end / 8);
    this.#ones ??= this.#block().fill(0xff);
    this.#repeat(this.#ones, whole);
    // A run that ends inside a byte ends at the last bit of the bitmap.
    if (end % 8 === 0) return;
    this.#sha256.update(Uint8Array.of((1 << this.#tailBits) - 1));
    this.#done++;
  }

  pushClean(): void {
    // The number of zeros is known only when the next dirty bits arrive, or at the end. They are hashed then.
  }

  /** Ends the hash and returns the digest in hex digits. */
  finish(): string {
    this.#fillTo(this.#bytes);
    return this.#sha256.hex();
  }

  #fillTo(byte: number): void {
    if (this.#done >= byte) return;
    this.#zeros ??= this.#block();
    this.#repeat(this.#zeros, byte);
  }

  /** Makes a block of zero bytes. It is no longer than the data of the bitmap, since a file can have many small bitmaps. */
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
