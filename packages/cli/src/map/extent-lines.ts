// The lines of a map as nbdinfo prints them, put into a buffer: nearly all the time of a large map is spent here.
import { decimalDigits, decimalWriter, wordsOf } from "./decimal.ts";

/** The texts of a map in one format. */
export interface LineFormat {
  /** What the first line has in place of the first characters of `before`. */
  readonly begin: string;
  /** What stands before an offset, at most 16 characters. */
  readonly before: string;
  /** What stands between offset and length, at most 16 characters. */
  readonly between: string;
  /** Columns that each number is aligned in, at most 16; 0 where it is not. */
  readonly width: number;
  /** What ends the line of a clean or a dirty extent: the two have the same length, at most 40 characters. */
  readonly clean: string;
  readonly dirty: string;
  /** What follows the last line. */
  readonly end: string;
  /** The whole of a map without an extent. */
  readonly none: string;
}

/** The table. */
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

/** The JSON. Each line has the comma of the line before it. */
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

/** Puts a number at an offset in a buffer and gives the offset behind it. Up to 16 bytes behind it may be overwritten too. */
type Put<N> = (at: number, value: N) => number;

/** Puts the line of an extent, bytes of the disk, at an offset in a buffer and gives the offset behind it. Up to 40 bytes behind it may be overwritten too. */
export type PutExtent<N> = (at: number, offset: N, length: N, isDirty: boolean) => number;

/** Makes what puts numbers below 2^53 in decimal, aligned as the format has it. */
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

/** The same for numbers of any size. */
export function bigintWriter(bytes: Buffer, { width }: LineFormat): Put<bigint> {
  return (at, value) => at + bytes.write(String(value).padStart(width), at, "latin1");
}

/** Makes what puts lines. Texts are written eight bytes at a time, and all of them are closed over: see {@link decimalWriter}. */
export function extentWriter<N>(view: DataView, format: LineFormat, put: Put<N>): PutExtent<N> {
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
