// Writes the lines of a map into a buffer, as nbdinfo prints them. Formatting a large map spends nearly all its time here.
import { decimalDigits, decimalWriter, putText, wordsOf } from "./decimal.ts";

/** The fixed texts of a map in one output format. */
export interface LineFormat {
  /** Text that overwrites the beginning of `before` in the first line. */
  readonly begin: string;
  /** Text before the offset. At most 16 characters. */
  readonly before: string;
  /** Text between offset and length. At most 16 characters. */
  readonly between: string;
  /** Width in columns to which numbers are right-aligned, at most 16; 0 if they are not aligned. */
  readonly width: number;
  /** Text after the length of a clean or dirty extent. Both texts have the same length, at most 40 characters. */
  readonly clean: string;
  readonly dirty: string;
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

/** Writes a number at an offset of a buffer, and returns the offset after it. It may also overwrite up to 16 bytes after the number. */
type Put<N> = (at: number, value: N) => number;

/**
 * Writes the line of an extent at byte `at` of a buffer, and returns the offset after it. `offset` and `length` of the extent are in bytes
 * of the disk. It may also overwrite up to 40 bytes after the line.
 */
export type PutLine<N> = (at: number, offset: N, length: N, isDirty: boolean) => number;

/** Returns a function that writes numbers below 2^53 in decimal, aligned to the width of the format. */
export function numberWriter(view: DataView, { width }: LineFormat): Put<number> {
  const put = decimalWriter(view);
  if (width === 0) return put;
  const [spaces = 0] = wordsOf(" ".repeat(8));
  return (at, value) => {
    view.setFloat64(at, spaces);
    view.setFloat64(at + 8, spaces);
    return put(at + width - decimalDigits(value), value);
  };
}

/** Returns a function that writes numbers of any size, aligned as {@link numberWriter} does. */
export function bigintWriter(bytes: Uint8Array, { width }: LineFormat): Put<bigint> {
  return (at, value) => putText(bytes, at, String(value).padStart(width));
}

/** Returns a function that writes lines. It writes texts eight bytes at a time, from variables of its closure (see {@link decimalWriter}). */
export function lineWriter<N>(view: DataView, format: LineFormat, put: Put<N>): PutLine<N> {
  const [before0 = 0, before1 = 0] = wordsOf(format.before);
  const [between0 = 0, between1 = 0] = wordsOf(format.between);
  const [clean0 = 0, clean1 = 0, clean2 = 0, clean3 = 0, clean4 = 0] = wordsOf(format.clean);
  const [dirty0 = 0, dirty1 = 0, dirty2 = 0, dirty3 = 0, dirty4 = 0] = wordsOf(format.dirty);
  const beforeLength = format.before.length;
  const betweenLength = format.between.length;
  const kindLength = format.dirty.length;

  return (start, offset, length, isDirty) => {
    view.setFloat64(start, before0);
    view.setFloat64(start + 8, before1);
    const middle = put(start + beforeLength, offset);
    view.setFloat64(middle, between0);
    view.setFloat64(middle + 8, between1);
    const at = put(middle + betweenLength, length);
    if (isDirty) {
      view.setFloat64(at, dirty0);
      view.setFloat64(at + 8, dirty1);
      view.setFloat64(at + 16, dirty2);
      view.setFloat64(at + 24, dirty3);
      view.setFloat64(at + 32, dirty4);
    } else {
      view.setFloat64(at, clean0);
      view.setFloat64(at + 8, clean1);
      view.setFloat64(at + 16, clean2);
      view.setFloat64(at + 24, clean3);
      view.setFloat64(at + 32, clean4);
    }
    return at + kindLength;
  };
}
