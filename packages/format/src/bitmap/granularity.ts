// Changes of granularity by a factor of 2^steps. Both directions only ever add dirty bits (spec §5, Dirt).
import { wordAt } from "../elements.ts";

/** ORs each pair of neighbouring bits into one and packs the 16 results into the low half: two fine bits make a coarse one. */
function foldPairs(word: number): number {
  let value = (word | (word >>> 1)) & 0x55555555;
  value = (value | (value >>> 1)) & 0x33333333;
  value = (value | (value >>> 2)) & 0x0f0f0f0f;
  value = (value | (value >>> 4)) & 0x00ff00ff;
  return (value | (value >>> 8)) & 0xffff;
}

/** Doubles each of the 16 low bits: a coarse bit makes two fine ones. */
function spreadPairs(half: number): number {
  let value = half & 0xffff;
  value = (value | (value << 8)) & 0x00ff00ff;
  value = (value | (value << 4)) & 0x0f0f0f0f;
  value = (value | (value << 2)) & 0x33333333;
  value = (value | (value << 1)) & 0x55555555;
  return value | (value << 1);
}

/**
 * Bits at a granularity 2^steps coarser: a coarse bit is dirty if any of its fine bits is. `length` is the number of words of the result.
 */
export function coarsen(words: Uint32Array, steps: number, length: number): Uint32Array {
  let source = words;
  for (let step = 0; step < steps; step++) {
    const target = new Uint32Array(Math.ceil(source.length / 2));
    for (let index = 0; index < target.length; index++) {
      // An odd number of words: the last one has no partner, and there are no bits where that would be.
      const high = 2 * index + 1 < source.length ? wordAt(source, 2 * index + 1) : 0;
      target[index] = foldPairs(wordAt(source, 2 * index)) | (foldPairs(high) << 16);
    }
    source = target;
  }
  return exactLength(source, length);
}

/** Bits at a granularity 2^steps finer: every fine bit of a dirty coarse bit is dirty. `length` is the number of words of the result. */
export function refine(words: Uint32Array, steps: number, length: number): Uint32Array {
  let source = words;
  for (let step = 0; step < steps; step++) {
    // Never more words than the result needs: the disk may end long before its last coarse granule does.
    const target = new Uint32Array(Math.min(source.length * 2, Math.ceil(length / 2 ** (steps - 1 - step))));
    for (let index = 0; index < target.length; index++) {
      const word = wordAt(source, index >>> 1);
      target[index] = spreadPairs(index % 2 === 0 ? word : word >>> 16);
    }
    source = target;
  }
  return exactLength(source, length);
}

function exactLength(words: Uint32Array, length: number): Uint32Array {
  if (words.length === length) return words;
  const result = new Uint32Array(length);
  result.set(words.subarray(0, length));
  return result;
}
