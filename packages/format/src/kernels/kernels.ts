// Operations on long runs of bits and bytes in WebAssembly. The words and bytes stay in the memory of JavaScript: they are copied into that
// of the module in parts, which costs less than the operations save. Each function returns undefined if the host has no WebAssembly with
// SIMD or its policy refuses it; the caller does the same in JavaScript then, and for short inputs.
import { wordAt } from "../elements.ts";
import { MODULE } from "./module.ts";

/** The functions of kernels.wat. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  count(at: number, bytes: number): number;
  edges(at: number, bytes: number, bit: number, open: number, out: number): number;
  coarsen(at: number, bytes: number, out: number): void;
  refine(at: number, bytes: number, out: number): void;
  crcTables(): void;
  crc32(at: number, bytes: number, crc: number): number;
}

/** What is used of `WebAssembly`. Not every host has it, and not every set of types declares it. */
interface Host {
  readonly WebAssembly?: {
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object) => { readonly exports: unknown };
  };
}

/** Inputs of fewer words or bytes are not worth the module. */
export const MIN_WORDS = 256;
const PART_BYTES = 64 * 1024;
const PART_WORDS = PART_BYTES / 4;
/** The edges of this many words fit in {@link OUT}, even if every bit is one. */
const EDGE_WORDS = 1024;
/** Addresses in the memory of the module: tables of CRC-32, input, output. */
const TABLES = 0;
const IN = 16 * 1024;
const OUT = IN + PART_BYTES;

/** The module; null if there can be none. */
let loaded: Kernels | null | undefined;

/** Returns the module, which is compiled at the first call; undefined if the host has none. */
export function kernels(): Kernels | undefined {
  if (loaded === undefined) loaded = load();
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

function load(): Kernels | null {
  // Bits are words in the byte order of the machine; those of WebAssembly are little-endian.
  const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
  const { WebAssembly } = globalThis as Host;
  if (WebAssembly === undefined || !isLittleEndian) return null;
  const text = atob(MODULE);
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    return new Kernels(exports as Exports);
  } catch {
    // No SIMD, no memory, or a policy of the page.
    return null;
  }
}

/** The module and the views of its memory. */
export class Kernels {
  readonly #module: Exports;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #hasTables = false;

  constructor(module: Exports) {
    this.#module = module;
    this.#words = new Uint32Array(module.memory.buffer);
    this.#bytes = new Uint8Array(module.memory.buffer);
  }

  /** Copies words in, followed by zeros up to a multiple of 16 bytes. Returns the number of bytes. */
  #copyIn(words: Uint32Array): number {
    const padded = Math.ceil(words.length / 4) * 4;
    this.#words.set(words, IN / 4);
    this.#words.fill(0, IN / 4 + words.length, IN / 4 + padded);
    return padded * 4;
  }

  /** Returns the number of set bits. */
  count(words: Uint32Array): number {
    let count = 0;
    for (let at = 0; at < words.length; at += PART_WORDS)
      count += this.#module.count(IN, this.#copyIn(words.subarray(at, at + PART_WORDS)));
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
      const end = this.#module.edges(IN, this.#copyIn(part), (base + at * 32) | 0, open ? 1 : 0, OUT);
      let count = (end - OUT) / 4;
      // The zeros of the padding end a run that goes on after the words.
      if (part.length % 4 !== 0 && wordAt(part, part.length - 1) >>> 31 === 1) count--;
      if (count % 2 === 1) open = !open;
      put(this.#words.subarray(OUT / 4, OUT / 4 + count));
    }
  }

  /** Merges each pair of bits into one (OR), in half as many words, rounded up. */
  coarsen(words: Uint32Array): Uint32Array {
    return this.#transform(words, 0.5, (bytes) => this.#module.coarsen(IN, bytes, OUT));
  }

  /** Doubles each bit, in twice as many words. */
  refine(words: Uint32Array): Uint32Array {
    return this.#transform(words, 2, (bytes) => this.#module.refine(IN, bytes, OUT));
  }

  #transform(words: Uint32Array, factor: number, run: (bytes: number) => void): Uint32Array {
    const result = new Uint32Array(Math.ceil(words.length * factor));
    for (let at = 0; at < words.length; at += PART_WORDS) {
      const part = words.subarray(at, at + PART_WORDS);
      run(this.#copyIn(part));
      const length = Math.ceil(part.length * factor);
      result.set(this.#words.subarray(OUT / 4, OUT / 4 + length), at * factor);
    }
    return result;
  }

  /** Returns the CRC-32 of bytes. `table` is the table of the polynomial for one byte; see `Crc32`. */
  crc32(bytes: Uint8Array, previous: number, table: Uint32Array): number {
    if (!this.#hasTables) {
      this.#words.set(table.subarray(0, 256), TABLES / 4);
      this.#module.crcTables();
      this.#hasTables = true;
    }
    let crc = ~previous;
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      const part = bytes.subarray(at, at + PART_BYTES);
      this.#bytes.set(part, IN);
      crc = this.#module.crc32(IN, part.length, crc);
    }
    return ~crc >>> 0;
  }
}
