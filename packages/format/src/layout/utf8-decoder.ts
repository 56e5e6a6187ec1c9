import { byteAt } from "../elements.ts";
import { following, utf8Length } from "./text.ts";

/** Decodes UTF-8 that arrives in parts, which may end inside a character. A BOM is kept. */
export class Utf8Decoder {
  readonly #fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Makes the error for bytes that are not UTF-8, from the offset of the first such byte. */
  readonly #error: (offset: number) => Error;
  /** The beginning of a character that the last part has cut. */
  #rest = new Uint8Array(0);
  /** Number of bytes that were decoded. */
  #offset = 0;

  constructor(error: (offset: number) => Error) {
    this.#error = error;
  }

  /** Returns the text of the next part, without a character that is cut by its end. @throws {Error} the error for bytes that are not UTF-8 */
  decode(part: Uint8Array): string {
    const bytes = this.#rest.length === 0 ? part : joined(this.#rest, part);
    const whole = bytes.subarray(0, bytes.length - cutBytes(bytes));
    this.#rest = bytes.slice(whole.length);
    try {
      const text = this.#fatal.decode(whole);
      this.#offset += whole.length;
      return text;
    } catch {
      throw this.#error(this.#offset + utf8Length(whole));
    }
  }

  /** To be called after the last part. @throws {Error} the error for bytes that are not UTF-8, if the last character is cut */
  finish(): void {
    if (this.#rest.length > 0) throw this.#error(this.#offset);
  }
}

/** Returns the number of bytes, 0 to 3, of the character that is cut by the end of the bytes. */
function cutBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = byteAt(bytes, bytes.length - back);
    if ((byte & 0xc0) !== 0x80) return following(byte) >= back ? back : 0;
  }
  return 0;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
