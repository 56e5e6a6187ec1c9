import { QdbError } from "../errors.ts";

/** The words of a bitmap. Clones of the bitmap share one array until one of them changes. */
export class SharedWords {
  /** The array; undefined once it is freed. */
  #words: Uint32Array | undefined;
  /** Number of bitmaps that hold the array. A bitmap that is garbage by now still counts. */
  #holders: { count: number } = { count: 1 };

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** Returns the words for reading. @throws {QdbError} USAGE if they are freed */
  read(): Uint32Array {
    if (this.#words === undefined) throw new QdbError("USAGE", "the bitmap was used after free()");
    return this.#words;
  }

  /** Returns the words for changing them. Copies them first if another bitmap holds them too. @throws {QdbError} as {@link read} */
  own(): Uint32Array {
    const words = this.read();
    if (this.#holders.count === 1) return words;
    const copy = words.slice();
    this.#words = copy;
    this.#holders.count--;
    this.#holders = { count: 1 };
    return copy;
  }

  /** Returns the same words for another bitmap. @throws {QdbError} as {@link read} */
  share(): SharedWords {
    const shared = new SharedWords(this.read());
    shared.#holders = this.#holders;
    this.#holders.count++;
    return shared;
  }

  /** Gives up the words. Other bitmaps that hold them keep them. A second call does nothing. */
  free(): void {
    if (this.#words === undefined) return;
    this.#words = undefined;
    this.#holders.count--;
  }
}
