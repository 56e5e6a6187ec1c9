// Basic operations on bits in 32-bit words. Bit n is `1 << (n % 32)` of word n / 32, rounded down.
import { wordAt } from "../elements.ts";
import { kernels, MIN_WORDS } from "../kernels/kernels.ts";

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Returns the number of words that `bitCount` bits take. */
export function wordsFor(bitCount: number): number {
  return Math.ceil(bitCount / 32);
}

function swapEach(words: Uint32Array): Uint32Array {
  for (let index = 0; index < words.length; index++) {
    const word = wordAt(words, index);
    words[index] = (word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
  }
  return words;
}

/** Copies bytes into words; the least significant bit of a byte is its first. If the bytes do not fill the last word, zero bits follow. */
export function wordsFromBytes(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  if (!LITTLE_ENDIAN) swapEach(words);
  return words;
}

/** Returns the same words as `wordsFromBytes`, for reading only: a view if byte order, alignment and length allow one, otherwise a copy. */
export function viewAsWords(bytes: Uint8Array): Uint32Array {
  if (LITTLE_ENDIAN && bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0) {
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }
  return wordsFromBytes(bytes);
}

/** Copies bytes [start, start + length) of words; the first bit of a byte is its least significant. Bytes past the last word are zero. */
export function bytesFromWords(words: Uint32Array, start: number, length: number): Uint8Array {
  const result = new Uint8Array(length);
  if (LITTLE_ENDIAN) {
    const have = Math.max(0, Math.min(length, words.byteLength - start));
    if (have > 0) result.set(new Uint8Array(words.buffer, words.byteOffset + start, have));
    return result;
  }
  const end = words.length * 4;
  for (let index = 0; index < length; index++) {
    const at = start + index;
    result[index] = (at < end ? wordAt(words, at >>> 2) : 0) >>> ((at & 3) * 8);
  }
  return result;
}

/**
 * Returns the same bytes as `bytesFromWords`, for reading only: a view if byte order and length of the words allow one, otherwise a copy.
 */
export function viewAsBytes(words: Uint32Array, start: number, length: number): Uint8Array {
  if (!LITTLE_ENDIAN || start + length > words.byteLength) return bytesFromWords(words, start, length);
  return new Uint8Array(words.buffer, words.byteOffset + start, length);
}

/** Sets or clears the bits [first, end). */
export function fillBits(words: Uint32Array, first: number, end: number, value: boolean): void {
  if (first >= end) return;
  const firstWord = Math.floor(first / 32);
  const lastWord = Math.floor((end - 1) / 32);
  const head = -1 << (first % 32);
  const tail = -1 >>> (31 - ((end - 1) % 32));
  const apply = (index: number, mask: number): void => {
    const word = wordAt(words, index);
    words[index] = value ? word | mask : word & ~mask;
  };
  if (firstWord === lastWord) {
    apply(firstWord, head & tail);
    return;
  }
  apply(firstWord, head);
  words.fill(value ? 0xffffffff : 0, firstWord + 1, lastWord);
  apply(lastWord, tail);
}

/** Returns the bits [first, end) as words, the first of them as bit 0: a view of the words if there is one, otherwise a copy. */
export function sliceBits(words: Uint32Array, first: number, end: number): Uint32Array {
  const start = Math.floor(first / 32);
  const length = wordsFor(end - first);
  const shift = first % 32;
  // The words end with the range if no bit past it is set in the last one.
  const hasNoRest = end % 32 === 0 || wordAt(words, start + length - 1) >>> (end % 32) === 0;
  if (shift === 0 && hasNoRest) return words.subarray(start, start + length);
  const result = new Uint32Array(length);
  for (let index = 0; index < length; index++) {
    const at = start + index;
    const low = wordAt(words, at) >>> shift;
    // The next word is past the end only if none of its bits is in the range.
    result[index] = shift === 0 || at + 1 >= words.length ? low : low | (wordAt(words, at + 1) << (32 - shift));
  }
  fillBits(result, end - first, length * 32, false);
  return result;
}

function popcount(word: number): number {
  let value = word - ((word >>> 1) & 0x55555555);
  value = (value & 0x33333333) + ((value >>> 2) & 0x33333333);
  return Math.imul((value + (value >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Returns the number of set bits. */
export function countBits(words: Uint32Array): number {
  const fast = words.length < MIN_WORDS ? undefined : kernels();
  return fast === undefined ? plainCount(words) : fast.count(words);
}

function plainCount(words: Uint32Array): number {
  let count = 0;
  for (let index = 0; index < words.length; index++) {
    const word = wordAt(words, index);
    if (word !== 0) count += popcount(word);
  }
  return count;
}

/** Returns the first bit in [from, bitCount) that is set, or that is clear if `value` is false; -1 if there is none. */
export function nextBit(words: Uint32Array, from: number, bitCount: number, value: boolean): number {
  const first = Math.max(0, from);
  if (first >= bitCount) return -1;
  const flip = value ? 0 : -1;
  let index = Math.floor(first / 32);
  let word = (wordAt(words, index) ^ flip) & (-1 << (first % 32));
  const last = wordsFor(bitCount);
  if (word === 0 && last - index > MIN_WORDS) index = (kernels()?.skip(words, index + 1, last, flip) ?? index + 1) - 1;
  while (word === 0) {
    index++;
    if (index >= last) return -1;
    word = wordAt(words, index) ^ flip;
  }
  const bit = index * 32 + 31 - Math.clz32(word & -word);
  return bit < bitCount ? bit : -1;
}

/** target |= source. @throws {RangeError} if the source is shorter */
export function orWords(target: Uint32Array, source: Uint32Array): void {
  for (let index = 0; index < target.length; index++) target[index] = wordAt(target, index) | wordAt(source, index);
}

/** target &= source. @throws {RangeError} if the source is shorter */
export function andWords(target: Uint32Array, source: Uint32Array): void {
  for (let index = 0; index < target.length; index++) target[index] = wordAt(target, index) & wordAt(source, index);
}

/** target &= ~source. @throws {RangeError} if the source is shorter */
export function andNotWords(target: Uint32Array, source: Uint32Array): void {
  for (let index = 0; index < target.length; index++) target[index] = wordAt(target, index) & ~wordAt(source, index);
}

/** target ^= source. @throws {RangeError} if the source is shorter */
export function xorWords(target: Uint32Array, source: Uint32Array): void {
  for (let index = 0; index < target.length; index++) target[index] = wordAt(target, index) ^ wordAt(source, index);
}

/** target = ~target. The caller must clear the bits past the last one afterwards. */
export function notWords(target: Uint32Array): void {
  for (let index = 0; index < target.length; index++) target[index] = ~wordAt(target, index);
}

/** Whether a bit is set in `words` and not in `others`. @throws {RangeError} if `others` is shorter */
export function hasBitsOutside(words: Uint32Array, others: Uint32Array): boolean {
  for (let index = 0; index < words.length; index++)
    if ((wordAt(words, index) & ~wordAt(others, index)) !== 0) return true;
  return false;
}

/** Whether two arrays have the same number of words and the same words. */
export function equalWords(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
