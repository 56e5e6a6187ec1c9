// How two bitmaps are combined, and what happens if their granularities differ (spec §5, Dirt).
import { QdbError } from "../errors.ts";
import { type CombinationName, kernels, MAX_WORDS, MIN_WORDS } from "../kernels/kernels.ts";
import { type BitmapShape, requireSameSize } from "./shape.ts";
import * as kernel from "./words.ts";

/** OR, AND, AND NOT, XOR of a bitmap and a source. */
export type Combination = "merge" | "intersect" | "subtract" | "xor";

const FUNCTIONS: Readonly<Record<Combination, (words: Uint32Array, source: Uint32Array) => void>> = {
  merge: kernel.orWords,
  intersect: kernel.andWords,
  subtract: kernel.andNotWords,
  xor: kernel.xorWords,
};

const KERNELS: Readonly<Record<Combination, CombinationName>> = {
  merge: "or",
  intersect: "and",
  subtract: "andNot",
  xor: "xor",
};

/** Combines words with those of a source of the same granularity, in place. @throws {RangeError} if the source is shorter */
export function combineWords(how: Combination, words: Uint32Array, source: Uint32Array): void {
  const fast = words.length < MIN_WORDS ? undefined : kernels();
  if (fast?.combine(KERNELS[how], words, source) !== true) FUNCTIONS[how](words, source);
}

/** As {@link combineWords}, for any number of words. */
export function combineLong(how: Combination, words: Uint32Array, source: Uint32Array): void {
  for (let at = 0; at < words.length; at += MAX_WORDS)
    combineWords(how, words.subarray(at, at + MAX_WORDS), source.subarray(at, at + MAX_WORDS));
}

/**
 * Whether a source of another granularity is rounded inward: a bit of it counts as dirty only if all of its granule is. Dirt is removed for
 * such bits. The other combinations round outward, so that a byte that is dirty in the source stays dirty.
 */
export function isRoundedInward(how: Combination): boolean {
  return how === "subtract";
}

/**
 * Checks that two bitmaps can be combined.
 * @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ; USAGE for "xor" if the granularities differ, since rounding in either direction would lose dirty bits
 */
export function requireCombinable(how: Combination, bitmap: BitmapShape, source: BitmapShape): void {
  requireSameSize(bitmap, source);
  if (how !== "xor" || bitmap.granularity === source.granularity) return;
  throw new QdbError(
    "USAGE",
    `xor takes bitmaps of one granularity, here ${bitmap.granularity} and ${source.granularity}; regranulate one of them first`,
    { field: "granularity" },
  );
}
