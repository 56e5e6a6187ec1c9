// Formats the lines of a map in WebAssembly. extents/ does the same in JavaScript if the host has no WebAssembly.
import { exportsOf } from "./instance.ts";
import { kernels } from "./kernels.ts";
import { MODULE } from "./lines-module.ts";

/** The exports of lines.wat. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  lines(at: number, end: number, out: number): number;
}

/** The texts of a line, in ASCII, and how numbers are aligned. */
export interface LineTexts {
  /** Text before the offset. At most 16 characters. */
  readonly before: string;
  /** Text between offset and length. At most 16 characters. */
  readonly between: string;
  /** Width in columns to which numbers are aligned right, from 8 to 16; 0 if they are not aligned. */
  readonly width: number;
  /** Text after the length of a clean or dirty extent. Both texts have the same length, at most 48 characters. */
  readonly clean: string;
  readonly dirty: string;
}

/** Maximum number of runs that are formatted in one call. */
export const MAX_LINE_RUNS = 8192;
/** Maximum number of bytes that a line takes, what is written past its end included. */
export const LINE_BYTES = 112;

/** Addresses in the memory of the module; see lines.wat. */
const TEXTS = { before: 0, between: 16, clean: 32, dirty: 80 } as const;
const POSITION = 128;
const END = 136;
const NUMBERS = 144;
const STATE_BYTES = 164;
const RUNS = 256;
const OUT = RUNS + MAX_LINE_RUNS * 8;

/** What a map is formatted with: texts, granularity, and the offset up to which it was formatted. The module has that of one map at a time. */
export class LineState {
  readonly bytes: Uint8Array = new Uint8Array(STATE_BYTES);
  readonly #view = new DataView(this.bytes.buffer);

  /** The map begins at byte `position` of the disk and ends at `end`. A bit stands for `granularity` bytes, a power of two. */
  constructor(texts: LineTexts, granularity: number, position: bigint, end: bigint) {
    for (const [name, at] of Object.entries(TEXTS)) {
      const text = texts[name as keyof typeof TEXTS];
      for (let index = 0; index < text.length; index++) this.bytes[at + index] = text.charCodeAt(index);
    }
    this.position = position;
    this.#view.setBigUint64(END, end, true);
    const numbers = [31 - Math.clz32(granularity), texts.before.length, texts.between.length, texts.dirty.length];
    for (const [index, value] of [...numbers, texts.width].entries())
      this.#view.setUint32(NUMBERS + index * 4, value, true);
  }

  /** Offset on the disk up to which lines were formatted. */
  get position(): bigint {
    return this.#view.getBigUint64(POSITION, true);
  }

  set position(position: bigint) {
    this.#view.setBigUint64(POSITION, position, true);
  }

  /** Offset on the disk at which the map ends. */
  get end(): bigint {
    return this.#view.getBigUint64(END, true);
  }
}

/** The module; null if there can be none. */
let loaded: Exports | null | undefined;

/**
 * Formats the lines of dirty runs, given as the first and the last bit of each, and of the clean extents before them, and moves the
 * position of the state to the end of the last run. There are at most {@link MAX_LINE_RUNS}. Returns the text, which is valid until the next
 * call; undefined if the host has no WebAssembly.
 */
export function formatLines(runs: Uint32Array, state: LineState): Uint8Array | undefined {
  if (kernels() === undefined) return undefined;
  loaded ??= (exportsOf(MODULE) as Exports | undefined) ?? null;
  if (loaded === null) return undefined;
  const bytes = new Uint8Array(loaded.memory.buffer);
  bytes.set(state.bytes);
  new Uint32Array(bytes.buffer, RUNS, runs.length).set(runs);
  const end = loaded.lines(RUNS, RUNS + runs.byteLength, OUT);
  state.bytes.set(bytes.subarray(POSITION, POSITION + 8), POSITION);
  return bytes.subarray(OUT, end);
}
