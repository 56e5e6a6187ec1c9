// Operations on long runs of bits and bytes in WebAssembly. They work in the memory of the module: words that are slots of it (slots.ts) stay
// where they are; others are copied in, in parts, which costs less than the operations save. There is no module if the host has no
// WebAssembly with SIMD or its policy refuses it; the caller does the same in JavaScript then, and for short inputs.
import { wordAt } from "../elements.ts";
import { exportsOf } from "./instance.ts";
import { MODULE } from "./module.ts";

/** The functions of kernels.wat that combine bits in place. */
export type CombinationName = "or" | "and" | "andNot" | "xor";

/** The functions of kernels.wat. */
interface Exports extends Readonly<Record<CombinationName, (at: number, from: number, bytes: number) => void>> {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  skip(at: number, end: number, word: number): number;
  count(at: number, bytes: number): number;
  edges(at: number, bytes: number, bit: number, open: number, out: number): number;
  coarsen(at: number, bytes: number, out: number): void;
  refine(at: number, bytes: number, out: number): void;
  crcTables(): void;
  crc32(at: number, bytes: number, crc: number): number;
}

/** Inputs of fewer words or bytes are not worth the module. */
export const MIN_WORDS = 256;
const PART_BYTES = 64 * 1024;
const PART_WORDS = PART_BYTES / 4;
/** Combining more words at a time is left to JavaScript. */
export const MAX_WORDS = PART_WORDS;
/** The edges of this many words fit in {@link OUT}, even if every bit is one. */
const EDGE_WORDS = 1024;
/** Addresses in the memory of the module: tables of CRC-32, input, output. Slots begin at 256 KiB. */
const TABLES = 0;
const IN = 16 * 1024;
const OUT = IN + PART_BYTES;

/** The memory of the module as words; none without a module. It is another array after each growth: it must not be kept. */
export const memory: { words: Uint32Array } = { words: new Uint32Array(0) };

/** The module; null if there can be none. */
let loaded: Kernels | null | undefined;

/** Returns the module, which is compiled at the first call; undefined if the host has none. */
export function kernels(): Kernels | undefined {
  if (loaded === undefined) {
    const exports = exportsOf(MODULE);
    loaded = exports === undefined ? null : new Kernels(exports as Exports);
  }
  return loaded ?? undefined;
}

/** Does work without the module, as on a host that refuses it. For tests. */
export function withoutKernels<T>(work: () => T): T {
  const before = loaded;
  loaded = null;
  try {
    return work();
  } finally {
    loaded = before;
  }
}

/** The module. */
export class Kernels {
  readonly #module: Exports;
  #hasTables = false;

  constructor(module: Exports) {
    this.#module = module;
    memory.words = new Uint32Array(module.memory.buffer);
  }

  /** Makes the memory longer by pages of 64 KiB. Returns whether the host had them. All views of the memory are detached then. */
  grow(pages: number): boolean {
    try {
      this.#module.memory.grow(pages);
    } catch {
      return false;
    }
    memory.words = new Uint32Array(this.#module.memory.buffer);
    return true;
  }

  /** Copies words in, followed by zeros up to a multiple of 64 bytes. */
  #copyIn(words: Uint32Array): number {
    memory.words.set(words, IN / 4);
    memory.words.fill(0, IN / 4 + words.length, IN / 4 + padded(words.length));
    return IN;
  }

  /** Returns the address of words, which are copied in unless they are in the memory, and as long as the functions need. */
  #addressOf(words: Uint32Array): number {
    return isInside(words) && words.length === padded(words.length) ? words.byteOffset : this.#copyIn(words);
  }

  /** Combines words in place with as many others. Returns false if it did nothing, because of their length. */
  combine(how: CombinationName, target: Uint32Array, source: Uint32Array): boolean {
    const { length, byteLength } = target;
    if (length !== padded(length) || length > PART_WORDS || source.length !== length) return false;
    const from = this.#addressOf(source);
    if (isInside(target)) {
      this.#module[how](target.byteOffset, from, byteLength);
    } else {
      memory.words.set(target, OUT / 4);
      this.#module[how](OUT, from, byteLength);
      target.set(memory.words.subarray(OUT / 4, OUT / 4 + length));
    }
    return true;
  }

  /** Returns the index of the first word from `from` on that is not `word`; `end` if there is none. Undefined if the words are in no slot. */
  skip(words: Uint32Array, from: number, end: number, word: number): number | undefined {
    if (!isInside(words)) return undefined;
    const start = words.byteOffset;
    return (this.#module.skip(start + from * 4, start + end * 4, word) - start) / 4;
  }

  /** Returns the number of set bits. */
  count(words: Uint32Array): number {
    let count = 0;
    for (let at = 0; at < words.length; at += PART_WORDS) {
      const part = words.subarray(at, at + PART_WORDS);
      count += this.#module.count(this.#addressOf(part), padded(part.length) * 4);
    }
    return count;
  }

  /**
   * Passes the edges of the runs of set bits to `put`, in parts, which are valid during the call. Bit 0 of the words is number `base`. An
   * edge is the first bit of a run or its last bit; `isOpen` says whether the bit before the words is set.
   */
  edges(words: Uint32Array, base: number, isOpen: boolean, put: (edges: Uint32Array) => void): void {
    let open = isOpen;
    for (let at = 0; at < words.length; at += EDGE_WORDS) {
      const part = words.subarray(at, at + EDGE_WORDS);
      const length = padded(part.length);
      const bit = (base + at * 32) | 0;
      let count = (this.#module.edges(this.#addressOf(part), length * 4, bit, open ? 1 : 0, OUT) - OUT) / 4;
      // The zeros of the padding end a run that goes on after the words.
      if (part.length < length && wordAt(part, part.length - 1) >>> 31 === 1) count--;
      if (count % 2 === 1) open = !open;
      if (count > 0) put(memory.words.subarray(OUT / 4, OUT / 4 + count));
    }
  }

  /** Merges each pair of bits into one (OR). `target` has half as many words, rounded up. */
  coarsen(words: Uint32Array, target: Uint32Array): void {
    for (let at = 0; at < words.length; at += PART_WORDS) {
      const part = words.subarray(at, at + PART_WORDS);
      const into = target.subarray(at / 2, at / 2 + Math.ceil(part.length / 2));
      const bytes = padded(part.length) * 4;
      const out = isInside(into) && into.byteLength * 2 === bytes ? into.byteOffset : OUT;
      this.#module.coarsen(this.#addressOf(part), bytes, out);
      if (out === OUT) into.set(memory.words.subarray(OUT / 4, OUT / 4 + into.length));
    }
  }

  /** Doubles each bit. `target` has twice as many words. */
  refine(words: Uint32Array, target: Uint32Array): void {
    for (let at = 0; at < words.length; at += PART_WORDS) {
      const part = words.subarray(at, at + PART_WORDS);
      const into = target.subarray(at * 2, (at + part.length) * 2);
      const bytes = padded(part.length) * 4;
      const out = isInside(into) && into.byteLength === bytes * 2 ? into.byteOffset : OUT;
      this.#module.refine(this.#addressOf(part), bytes, out);
      if (out === OUT) into.set(memory.words.subarray(OUT / 4, OUT / 4 + into.length));
    }
  }

  /** Returns the CRC-32 of bytes. `table` is the table of the polynomial for one byte; see `Crc32`. */
  crc32(bytes: Uint8Array, previous: number, table: Uint32Array): number {
    if (!this.#hasTables) {
      memory.words.set(table.subarray(0, 256), TABLES / 4);
      this.#module.crcTables();
      this.#hasTables = true;
    }
    const input = new Uint8Array(this.#module.memory.buffer, IN, PART_BYTES);
    let crc = ~previous;
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      const part = bytes.subarray(at, at + PART_BYTES);
      input.set(part);
      crc = this.#module.crc32(IN, part.length, crc);
    }
    return ~crc >>> 0;
  }
}

/** Rounds a number of words up to 64 bytes. */
function padded(words: number): number {
  return Math.ceil(words / 16) * 16;
}

function isInside(words: Uint32Array): boolean {
  return words.buffer === memory.words.buffer;
}
