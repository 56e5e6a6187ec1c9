// The lines of a map of extents, as nbdinfo prints them.
import { wordAt } from "../elements.ts";
import type { LineState, LineTexts } from "../kernels/lines.ts";

/** The fixed texts of a map in one output format. */
export interface LineFormat extends LineTexts {
  /** Text that overwrites the beginning of `before` in the first line. */
  readonly begin: string;
  /** Text after the last line. */
  readonly end: string;
  /** The complete text of a map without extents. */
  readonly none: string;
}

/** The text output: a table. */
export const HUMAN: LineFormat = {
  begin: "",
  before: "",
  between: "  ",
  width: 10,
  clean: "    0  clean\n",
  dirty: "    1  dirty\n",
  end: "",
  none: "",
};

/** The JSON output. Each line begins with the comma that separates it from the line before. */
export const JSON_LINES: LineFormat = {
  begin: "[",
  before: ',\n{ "offset": ',
  between: ', "length": ',
  width: 0,
  clean: ', "type": 0, "description": "clean"}',
  dirty: ', "type": 1, "description": "dirty"}',
  end: "\n]\n",
  none: "[\n\n]\n",
};

/** Returns the lines of dirty runs and of the clean extents before them, as `formatLines` in WebAssembly does. */
export function linesOf(runs: Uint32Array, state: LineState, format: LineFormat, granularity: bigint): Uint8Array {
  const { end } = state;
  let text = "";
  for (let index = 0; index < runs.length; index += 2) {
    const first = BigInt(wordAt(runs, index)) * granularity;
    const next = (BigInt(wordAt(runs, index + 1)) + 1n) * granularity;
    text += lineTo(first, false, state, format);
    text += lineTo(next < end ? next : end, true, state, format);
  }
  return asciiBytes(text);
}

/** Returns the line of the extent that ends at byte `next` of the disk, and moves the position there; an empty text if there is none. */
export function lineTo(next: bigint, isDirty: boolean, state: LineState, format: LineFormat): string {
  const { position } = state;
  if (next <= position) return "";
  state.position = next;
  const { before, between, width, clean, dirty } = format;
  const [offset, length] = [position, next - position].map((value) => String(value).padStart(width));
  return `${before}${offset}${between}${length}${isDirty ? dirty : clean}`;
}

/** Returns the bytes of an ASCII text. */
export function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}
