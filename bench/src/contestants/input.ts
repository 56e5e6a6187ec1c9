import { readFileSync } from "node:fs";
import { wordAt } from "@qdb/format/internal";
import { Random } from "../data/random.ts";

/** The data of a cell, as the contestants get it. Everything is read or made when it is asked for, so that nobody holds what it does not use. */
export class Input {
  readonly #a: string;
  readonly #b: string;
  /** Number of bits of each bitmap. */
  readonly bitCount: number;

  constructor(a: string, b: string) {
    this.#a = a;
    this.#b = b;
    this.bitCount = this.bytes("a").length * 8;
  }

  /** The bits as bytes, the least significant bit first. */
  bytes(name: "a" | "b"): Uint8Array<ArrayBuffer> {
    const bytes = readFileSync(name === "a" ? this.#a : this.#b);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** The bits as words. */
  words(name: "a" | "b"): Uint32Array<ArrayBuffer> {
    const bytes = this.bytes(name);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }

  /** The first and the last bit of each run of dirty bits, in turn. */
  runs(name: "a" | "b"): Uint32Array {
    const words = this.words(name);
    let length = 0;
    eachEdge(words, () => length++);
    const runs = new Uint32Array(length);
    let at = 0;
    // The edge that ends a run is the first clean bit.
    eachEdge(words, (bit) => {
      runs[at] = at % 2 === 0 ? bit : bit - 1;
      at++;
    });
    return runs;
  }

  /** Numbers of bits in no order, each of the million random. */
  places(): Uint32Array {
    const random = new Random("places");
    return Uint32Array.from({ length: 1_000_000 }, () => random.integer(this.bitCount));
  }
}

/** Calls `take` with each bit that differs from the one before it. If the last bit is dirty, the number of bits is an edge too. */
function eachEdge(words: Uint32Array, take: (bit: number) => void): void {
  let carry = 0;
  for (let index = 0; index < words.length; index++) {
    const word = wordAt(words, index);
    let edges = word ^ ((word << 1) | carry);
    carry = word >>> 31;
    for (; edges !== 0; edges &= edges - 1) take(index * 32 + 31 - Math.clz32(edges & -edges));
  }
  if (carry === 1) take(words.length * 32);
}
