// Changes of granularity by a factor of 2^steps. In both directions, a dirty byte of the disk stays dirty (spec §5, Dirt).
import { wordAt } from "../elements.ts";
import { kernels, MIN_WORDS } from "../kernels/kernels.ts";

/** ORs each pair of adjacent bits of a word into one bit, and packs the 16 results into the low half: two fine bits become a coarse bit. */
function foldPairs(word: number): number {
  let value = (word | (word >>> 1)) & 0x55555555;
  value = (value | (value >>> 1)) & 0x33333333;
  value = (value | (value >>> 2)) & 0x0f0f0f0f;
  value = (value | (value >>> 4)) & 0x00ff00ff;
  return (value | (value >>> 8)) & 0xffff;
}

/** Doubles each of the 16 low bits of a word: a coarse bit becomes two fine bits. */
function spreadPairs(half: number): number {
  let value = half & 0xffff;
  value = (value | (value << 8)) & 0x00ff00ff;
  value = (value | (value << 4)) & 0x0f0f0f0f;
  value = (value | (value << 2)) & 0x33333333;
  value = (value | (value << 1)) & 0x55555555;
  return value | (value << 1);
}

/**
 * Returns bits at a granularity that is 2^steps times as coarse: a coarse bit is dirty if any of its fine bits is dirty. `length` is the
 * number of words of the result.
 */
export function coarsen(words: Uint32Array, steps: number, length: number): Uint32Array {
  const result = new Uint32Array(length);
  coarsenInto(words, steps, result);
  return result;
}

/** Writes what {@link coarsen} returns into words; no others are changed. If the result has fewer words, zeros follow. */
export function coarsenInto(words: Uint32Array, steps: number, target: Uint32Array): void {
  let source = words;
  for (let step = 0; step < steps; step++) {
    const length = Math.ceil(source.length / 2);
    const half = step === steps - 1 && length === target.length ? target : new Uint32Array(length);
    const fast = source.length < MIN_WORDS ? undefined : kernels();
    if (fast === undefined) foldAll(source, half);
    else fast.coarsen(source, half);
    source = half;
  }
  if (source !== target) copyWords(source, target);
}

function foldAll(source: Uint32Array, target: Uint32Array): void {
  for (let index = 0; index < target.length; index++) {
    // If the number of words is odd, the last word has no partner. Bits past the last word are zero.
    const high = 2 * index + 1 < source.length ? wordAt(source, 2 * index + 1) : 0;
    target[index] = foldPairs(wordAt(source, 2 * index)) | (foldPairs(high) << 16);
  }
}

/**
 * Returns bits at a granularity that is 2^steps times as fine: all fine bits of a dirty coarse bit are dirty. `length` is the number of
 * words of the result.
 */
export function refine(words: Uint32Array, steps: number, length: number): Uint32Array {
  const result = new Uint32Array(length);
  refineInto(words, steps, result);
  return result;
}

/** Writes what {@link refine} returns into words; no others are changed. If the result has fewer words, zeros follow. */
export function refineInto(words: Uint32Array, steps: number, target: Uint32Array): void {
  let source = words;
  for (let step = 0; step < steps; step++) {
    // No more words than the result needs: the last coarse granule can reach far past the end of the disk.
    const needed = Math.ceil(target.length / 2 ** (steps - 1 - step));
    const part = source.subarray(0, Math.ceil(needed / 2));
    const length = part.length * 2;
    const twice = step === steps - 1 && length === target.length ? target : new Uint32Array(length);
    const fast = part.length < MIN_WORDS ? undefined : kernels();
    if (fast === undefined) spreadAll(part, twice);
    else fast.refine(part, twice);
    source = twice;
  }
  if (source !== target) copyWords(source, target);
}

function spreadAll(source: Uint32Array, target: Uint32Array): void {
  for (let index = 0; index < target.length; index++) {
    const word = wordAt(source, index >>> 1);
    target[index] = spreadPairs(index % 2 === 0 ? word : word >>> 16);
  }
}

/** Copies as many words as there are, or as there is room for. */
function copyWords(words: Uint32Array, target: Uint32Array): void {
  target.fill(0);
  target.set(words.subarray(0, target.length));
}
