import type { ReadRange } from "../ports/plan.ts";
import type { ByteRange } from "../ports/source.ts";

/**
 * Buffers that a long pass uses again for each of its rounds, so that its memory does not depend on the size of the bitmap. What is in them
 * is valid until the next round.
 */
export class Scratch {
  #bytes = new Uint8Array(0);
  readonly #parts: Scratch[] = [];

  /** Returns a buffer of `length` bytes, with any contents. It is the same one each time. */
  bytes(length: number): Uint8Array {
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    return this.#bytes.subarray(0, length);
  }

  /** Returns ranges that are read into one buffer, one behind the other. */
  ranges(asked: readonly ByteRange[]): ReadRange[] {
    const bytes = this.bytes(asked.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    return asked.map(({ offset, length }) => {
      const into = bytes.subarray(at, at + length);
      at += length;
      return { offset, length, into };
    });
  }

  /** Returns the scratch of a part of the pass, which has other buffers. */
  part(at: number): Scratch {
    this.#parts[at] ??= new Scratch();
    return this.#parts[at];
  }
}
