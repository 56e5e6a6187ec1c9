// Bitmaps of a file whose bits `beforeBits` refuses, for the calls that read all bitmaps.
import { isQdbError, type Problem } from "./errors.ts";
import { askBeforeBits, type BitsOptions } from "./open/before-bits.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { LoadedBitmap } from "./read-all.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";

/** The bitmaps of a table that `beforeBits` refuses, each with its problem. */
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

/** The bitmaps with a problem in place of the bits that `beforeBits` refuses. */
export async function withoutRefused(loaded: LoadedBitmap[], options: BitsOptions): Promise<LoadedBitmap[]> {
  if (options.beforeBits === undefined) return loaded;
  const result: LoadedBitmap[] = [];
  for (const one of loaded) {
    const problem = one.bitmap === undefined ? undefined : await refusalOf(one.entry, options);
    result.push(problem === undefined ? one : { entry: one.entry, bitmap: undefined, problem });
  }
  return result;
}

/** Why `beforeBits` refuses the bits of a bitmap; undefined if it does not. @throws {unknown} what the hook throws, unless it is a QdbError */
async function refusalOf(entry: BitmapEntry, options: BitsOptions): Promise<Problem | undefined> {
  try {
    await askBeforeBits(options, entry);
    return undefined;
  } catch (error) {
    if (!isQdbError(error)) throw error;
    // Plain data: the error would keep its stack in memory.
    const { code, message, where } = error;
    return { code, message, where };
  }
}
