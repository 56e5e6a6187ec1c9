// Bits as files have them, in bytes with the least significant bit first (spec §1), and as this room holds them.
import { byteAt } from "../elements.ts";
import { type Combination, combineLong } from "./combination.ts";
import { clearFrom, type Page, pageOfWords, wordsOfPage } from "./page.ts";
import * as kernel from "./words.ts";

/**
 * Returns the bits of bytes in words, for reading only. Those outside [first, end) are zero. The words are a view of the bytes if there are
 * none and the machine allows one, otherwise a copy.
 */
export function wordsOfBytes(bytes: Uint8Array, first = 0, end: number = bytes.length * 8): Uint32Array {
  if (first === 0 && end === bytes.length * 8) return kernel.viewAsWords(bytes);
  const words = kernel.wordsFromBytes(bytes);
  kernel.fillBits(words, 0, first, false);
  clearFrom(words, end);
  return words;
}

/** Returns the first `length` bytes of words, for reading only; bytes past the last word are zero. They are a view if the machine allows one. */
export function bytesOfWords(words: Uint32Array, length: number): Uint8Array {
  return kernel.viewAsBytes(words, 0, length);
}

/** Returns the number of set bits of words. */
export function countWords(words: Uint32Array): number {
  return kernel.countBits(words);
}

/** Whether words have a bit, and it is set. */
export function hasBit(words: Uint32Array, bit: number): boolean {
  return bit >= 0 && bit < words.length * 32 && kernel.nextBit(words, bit, bit + 1, true) === bit;
}

/** Returns the bits [first, end) of words as words, the first of them as bit 0: a view if there is one, otherwise a copy. */
export function sliceWords(words: Uint32Array, first: number, end: number): Uint32Array {
  return kernel.sliceBits(words, first, end);
}

/** Clears the bits of bytes from `bit` on. */
export function clearBytesFrom(bytes: Uint8Array, bit: number): void {
  const whole = Math.floor(bit / 8);
  if (whole >= bytes.length) return;
  bytes[whole] = byteAt(bytes, whole) & ((1 << (bit % 8)) - 1);
  bytes.fill(0, whole + 1);
}

/** Combines the first `bitCount` bits of bytes with a page of as many, in place. The bytes are whole words; their other bits are zero. */
export function combineBytes(how: Combination, bytes: Uint8Array, page: Page, bitCount: number): void {
  // The order of the bytes in a word does not matter here, if it is the same in both.
  const other = bytesOfWords(wordsOfPage(page, bitCount), kernel.wordsFor(bitCount) * 4);
  combineLong(how, wordsIn(bytes, other.length), wordsIn(other, other.length));
}

/** Inverts the first `bitCount` bits of bytes, which are whole words, in place. */
export function invertBytes(bytes: Uint8Array, bitCount: number): void {
  kernel.notWords(wordsIn(bytes, bytes.length));
  clearBytesFrom(bytes, bitCount);
}

function wordsIn(bytes: Uint8Array, length: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, length / 4);
}

/** Returns "zeros" or "ones" if the first `bitCount` bits of bytes, which are whole words, are all equal; else undefined. */
export function uniformKind(bytes: Uint8Array, bitCount: number): "zeros" | "ones" | undefined {
  const page = pageOfWords(kernel.viewAsWords(bytes), bitCount);
  return typeof page === "string" ? page : undefined;
}
