// Bits as files have them, in bytes with the least significant bit first (spec §1), and as this room holds them.
import { outsideSlots } from "../kernels/slots.ts";
import { clearFrom } from "./page.ts";
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

/** Returns bytes of a view that can be kept: they stay as they are when bitmaps are made or freed. */
export function keptBytes(bytes: Uint8Array): Uint8Array {
  return outsideSlots(bytes);
}
