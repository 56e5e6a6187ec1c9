// The lines of a map as nbdinfo prints them, put into a buffer: nearly all the time of a large map is spent here.
import { decimalDigits, decimalWriter, type PutNumber, wordsOf } from "./decimal.ts";

/** What stands in a line of the table: `pad` columns for a number, `gap` between two. */
export const HUMAN = { pad: 10, gap: "  ", clean: "    0  clean\n", dirty: "    1  dirty\n" } as const;

/** What stands between the numbers of the JSON. */
export const JSON_TEXT = {
  none: "[\n\n]\n",
  first: '[\n{ "offset": ',
  next: ',\n{ "offset": ',
  length: ', "length": ',
  clean: ', "type": 0, "description": "clean"}',
  dirty: ', "type": 1, "description": "dirty"}',
  end: "\n]\n",
} as const;

/** What is printed: bytes of the disk, all below 2^53. */
export interface MapWindow {
  readonly granularity: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Puts dirty runs (first and last bit of each in turn) and what is clean before each from `used` on, and gives the offset behind
 * them. `before` is where the extent before them ends, in bytes of the disk. Up to 40 bytes behind are overwritten too.
 */
export type PutRuns = (used: number, runs: Uint32Array, before: number) => number;

// Texts are written eight bytes at a time, all numbers are closed over: see `decimalWriter`.

/** Puts lines of the JSON, each with the comma of the line before it. */
export function jsonPutter(view: DataView, { granularity, start, end }: MapWindow): PutRuns {
  const putDecimal = decimalWriter(view);
  const [next0 = 0, next1 = 0] = wordsOf(JSON_TEXT.next);
  const [length0 = 0, length1 = 0] = wordsOf(JSON_TEXT.length);
  const [clean0 = 0, clean1 = 0, clean2 = 0, clean3 = 0, clean4 = 0] = wordsOf(JSON_TEXT.clean);
  const [dirty0 = 0, dirty1 = 0, dirty2 = 0, dirty3 = 0, dirty4 = 0] = wordsOf(JSON_TEXT.dirty);
  const nextLength = JSON_TEXT.next.length;
  const lengthLength = JSON_TEXT.length.length;
  const kindLength = JSON_TEXT.dirty.length;

  const putNumbers = (used: number, offset: number, length: number): number => {
    view.setFloat64(used, next0);
    view.setFloat64(used + 8, next1);
    const at = putDecimal(used + nextLength, offset);
    view.setFloat64(at, length0);
    view.setFloat64(at + 8, length1);
    return putDecimal(at + lengthLength, length);
  };

  return (first, runs, before) => {
    let used = first;
    let at = before;
    for (let index = 0; index < runs.length; index += 2) {
      const dirtyStart = Math.max(start, (runs[index] as number) * granularity);
      const dirtyEnd = Math.min(end, ((runs[index + 1] as number) + 1) * granularity);
      if (dirtyStart > at) {
        used = putNumbers(used, at, dirtyStart - at);
        view.setFloat64(used, clean0);
        view.setFloat64(used + 8, clean1);
        view.setFloat64(used + 16, clean2);
        view.setFloat64(used + 24, clean3);
        view.setFloat64(used + 32, clean4);
        used += kindLength;
      }
      used = putNumbers(used, dirtyStart, dirtyEnd - dirtyStart);
      view.setFloat64(used, dirty0);
      view.setFloat64(used + 8, dirty1);
      view.setFloat64(used + 16, dirty2);
      view.setFloat64(used + 24, dirty3);
      view.setFloat64(used + 32, dirty4);
      used += kindLength;
      at = dirtyEnd;
    }
    return used;
  };
}

/** Puts lines of the table. */
export function humanPutter(view: DataView, { granularity, start, end }: MapWindow): PutRuns {
  const putDecimal = decimalWriter(view);
  const [clean0 = 0, clean1 = 0] = wordsOf(HUMAN.clean);
  const [dirty0 = 0, dirty1 = 0] = wordsOf(HUMAN.dirty);
  const [spaces = 0] = wordsOf(" ".repeat(8));
  const { pad } = HUMAN;
  const gapLength = HUMAN.gap.length;
  const kindLength = HUMAN.dirty.length;

  const putAligned: PutNumber = (used, value) => {
    view.setFloat64(used, spaces);
    view.setFloat64(used + 8, spaces);
    return putDecimal(used + pad - decimalDigits(value), value);
  };

  const putNumbers = (used: number, offset: number, length: number): number => {
    const at = putAligned(used, offset);
    view.setFloat64(at, spaces);
    return putAligned(at + gapLength, length);
  };

  return (first, runs, before) => {
    let used = first;
    let at = before;
    for (let index = 0; index < runs.length; index += 2) {
      const dirtyStart = Math.max(start, (runs[index] as number) * granularity);
      const dirtyEnd = Math.min(end, ((runs[index + 1] as number) + 1) * granularity);
      if (dirtyStart > at) {
        used = putNumbers(used, at, dirtyStart - at);
        view.setFloat64(used, clean0);
        view.setFloat64(used + 8, clean1);
        used += kindLength;
      }
      used = putNumbers(used, dirtyStart, dirtyEnd - dirtyStart);
      view.setFloat64(used, dirty0);
      view.setFloat64(used + 8, dirty1);
      used += kindLength;
      at = dirtyEnd;
    }
    return used;
  };
}
