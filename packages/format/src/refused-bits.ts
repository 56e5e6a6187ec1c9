// Finds the bitmaps whose bits `beforeBits` refuses, for the calls that read all bitmaps of a file.
import { isQdbError, type Problem, plainProblem } from "./errors.ts";
import { askBeforeBits, type BitsOptions } from "./open/before-bits.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { LoadedBitmap } from "./read-all.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";

/** Returns the entries of a table whose bits `beforeBits` refuses, each with the error of `beforeBits` as a problem. */
export async function refusalsOf(
  { table }: QdbIndex,
  options: BitsOptions,
): Promise<ReadonlyMap<BitmapEntry, Problem>> {
  const refused = new Map<BitmapEntry, Problem>();
  if (options.beforeBits === undefined) return refused;
  for (const entry of table.entries) {
    const problem = await refusalOf(entry, options);
    if (problem !== undefined) refused.set(entry, problem);
  }
  return refused;
}

/** Returns the bitmaps with a problem instead of bits for each one whose bits `beforeBits` refuses. */
export async function withoutRefused(loaded: LoadedBitmap[], options: BitsOptions): Promise<LoadedBitmap[]> {
  if (options.beforeBits === undefined) return loaded;
  const result: LoadedBitmap[] = [];
  for (const one of loaded) {
    const problem = one.bitmap === undefined ? undefined : await refusalOf(one.entry, options);
    result.push(problem === undefined ? one : { entry: one.entry, bitmap: undefined, problem });
  }
  return result;
}

/**
 * Calls `beforeBits` for the bitmap of a table entry. Returns the QdbError that it throws, as a problem; undefined if it throws nothing.
 * @throws {unknown} what `beforeBits` throws, if that is not a QdbError
 */
async function refusalOf(entry: BitmapEntry, options: BitsOptions): Promise<Problem | undefined> {
  try {
    await askBeforeBits(options, entry);
    return undefined;
  } catch (error) {
    if (!isQdbError(error)) throw error;
    return plainProblem(error);
  }
}
