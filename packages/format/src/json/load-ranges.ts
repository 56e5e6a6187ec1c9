import { type BitmapShape, type BitRange, bitsOutward } from "../bitmap/shape.ts";
import { numberAt } from "../elements.ts";
import type { JsonScanner, Parse } from "../json-text/scanner.ts";
import { u64Text } from "./load-values.ts";

/** Bits into which a JSON form is loaded: a `Bitmap`, or `SpooledBits`. */
export interface LoadedBits extends BitmapShape {
  readonly bitCount: number;
  /** Marks bits dirty. */
  markBits(range: BitRange): void;
  /** Returns the number of dirty bytes of the disk. */
  dirtyBytes(): bigint;
  /** Returns bytes of the bits, for reading only; at most 64 KiB from a multiple of it on. */
  viewAt(start: number, length: number): Uint8Array;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const OPEN = 0x5b;
const CLOSE = 0x5d;

/** Maximum number of digits of a number that is exact as a JavaScript number, and of which the sum of two is. */
const MAX_DIGITS = 15;

/** Returns the position after a character, which spaces may stand before; -1 if there is another one, or none. */
function after(text: string, at: number, character: number): number {
  for (let next = at; ; next++) {
    const found = text.charCodeAt(next);
    if (found === character) return next + 1;
    // Space, tab, line feed, carriage return. Past the end of the text there is NaN.
    if (found !== 0x20 && found !== 0x09 && found !== 0x0a && found !== 0x0d) return -1;
  }
}

/**
 * Reads a number in quotes, without leading zeros and of at most 15 digits, into an element of `numbers`. Returns the position after it; -1
 * if there is none.
 */
function readNumber(text: string, at: number, numbers: Float64Array, index: number): number {
  const start = after(text, at, QUOTE);
  if (start < 0) return -1;
  let value = 0;
  let next = start;
  for (; ; next++) {
    const digit = text.charCodeAt(next) - ZERO;
    // Written so that NaN ends the number.
    if (!(digit >= 0 && digit <= 9)) break;
    value = value * 10 + digit;
  }
  const digits = next - start;
  if (digits === 0 || digits > MAX_DIGITS || text.charCodeAt(next) !== QUOTE) return -1;
  if (digits > 1 && text.charCodeAt(start) === ZERO) return -1;
  numbers[index] = value;
  return next + 1;
}

/**
 * Reads an `[offset, length]` pair in its usual form, with the comma after it, if another pair follows. A large JSON form consists mostly of
 * such pairs, so that nothing is allocated for one. Returns the position after the comma; -1 if there is no such pair in the text.
 */
function readPair(text: string, at: number, pair: Float64Array): number {
  let next = after(text, at, OPEN);
  if (next >= 0) next = readNumber(text, next, pair, 0);
  if (next >= 0) next = after(text, next, COMMA);
  if (next >= 0) next = readNumber(text, next, pair, 1);
  if (next >= 0) next = after(text, next, CLOSE);
  if (next >= 0) next = after(text, next, COMMA);
  return next >= 0 && after(text, next, OPEN) >= 0 ? next : -1;
}

/** Reads an array of `[offset, length]` pairs, and marks these ranges of the disk as dirty. */
export function* markRanges(scanner: JsonScanner, path: string, bits: LoadedBits): Parse<void> {
  const { size, granularity } = bits;
  // A size above 2^53 is rounded, but stays larger than the sum of two numbers of a pair.
  const sizeNumber = Number(size);
  const pair = new Float64Array(2);
  let index = 0;
  const markPairs = (text: string, at: number): number => {
    let done = -1;
    for (let next = readPair(text, at, pair); next >= 0; next = readPair(text, next, pair)) {
      const offset = numberAt(pair, 0);
      const end = offset + numberAt(pair, 1);
      if (end > sizeNumber) break;
      if (end > offset)
        bits.markBits({ first: Math.floor(offset / granularity), end: Math.floor((end - 1) / granularity) + 1 });
      done = next;
      index++;
    }
    return done;
  };
  yield* scanner.expect("[", path);
  if ((yield* scanner.peek()) !== "]") {
    for (; ; index++) {
      scanner.takeBy(markPairs);
      const place = `${path}[${index}]`;
      const numbers: bigint[] = [];
      yield* scanner.array(place, function* (item) {
        numbers.push(yield* u64Text(scanner, item));
      });
      const [offset, length] = numbers;
      if (offset === undefined || length === undefined || numbers.length !== 2)
        scanner.fail(place, "[offset, length] expected");
      if (offset + length > size) scanner.fail(place, `the range ${offset}+${length} ends past the size ${size}`);
      bits.markBits(bitsOutward({ offset, length }, bits));
      if ((yield* scanner.peek()) !== ",") break;
      yield* scanner.expect(",", path);
    }
  }
  yield* scanner.expect("]", path);
}
