/** A generator of random numbers that gives the same numbers for the same seed: sfc32 by Chris Doty-Humphrey. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    // FNV-1a, so that similar seeds give other numbers.
    let hash = 0x811c9dc5;
    for (let index = 0; index < seed.length; index++) hash = Math.imul(hash ^ seed.charCodeAt(index), 0x01000193);
    this.#a = hash;
    this.#b = ~hash;
    this.#c = seed.length;
    for (let round = 0; round < 15; round++) this.word();
  }

  /** Returns 32 random bits. */
  word(): number {
    const result = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** Returns an integer in [0, below). */
  integer(below: number): number {
    return Math.floor((this.word() / 2 ** 32) * below);
  }

  /** Returns an integer from 1 on with a geometric distribution of this mean. */
  geometric(mean: number): number {
    if (mean <= 1) return 1;
    return 1 + Math.floor(Math.log((this.word() + 1) / 2 ** 32) / Math.log(1 - 1 / mean));
  }
}
