// Calls that read all bitmaps of an open file. Those whose bits `beforeBits` refuses have a problem instead of bits.

import type { BitOptions } from "./bits/read-bits.ts";
import { isQdbError, type Problem, plainProblem } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import type { QdbClusterMap } from "./maps/qdb-cluster-map.ts";
import { askBeforeBits, type BitsOptions } from "./open/before-bits.ts";
import { refuseMirror } from "./open/header-source.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { RunOptions } from "./ports/drivers.ts";
import type { Plan } from "./ports/plan.ts";
import { runTask } from "./ports/task.ts";
import type { QdbFile } from "./qdb-file.ts";
import {
  bitsOfAllPlan,
  type CountedBitmap,
  countAllPlan,
  type ExtentsVisitor,
  extentVisitors,
  type LoadedBitmap,
  type PartVisitor,
  readAllPlan,
} from "./read-all.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";

/** Options of a call that reads all bitmaps of a file. */
export type AllOptions = RunOptions & Pick<BitOptions, "onProgress">;

/**
 * Counts the dirty bits of every bitmap. A bitmap that cannot be used has a problem instead of a count. `beforeBits` is not called, since
 * a count says something of the file and gives out no bits.
 * @throws {QdbError} what `QdbFile.open` throws
 */
export async function countAll(file: QdbFile, options: AllOptions = {}): Promise<CountedBitmap[]> {
  const { reader } = file;
  return runTask(
    reader.run((index) => countAllPlan(index, reader.digests, options.onProgress, reader.isSync), options),
  );
}

/**
 * Shows the dirty extents of every bitmap to a visitor, and returns the bitmaps. A bitmap that cannot be used has a problem; the other
 * bitmaps are still shown. `begin` makes the visitor. If a writer commits meanwhile, `begin` is called again for the new generation, and
 * what the earlier visitor received must be discarded. If `beforeBits` refuses a bitmap by an error, none of its extents are shown, and
 * the error is its problem. Memory stays within the bounds of spec §7.4, apart from what the visitor keeps.
 * @throws {QdbError} BAD_CHECKSUM if the header was read from the mirror and `acceptMirror` is not set; what `QdbFile.open` throws
 */
export function extentsOfAll(
  file: QdbFile,
  begin: (index: QdbIndex) => ExtentsVisitor,
  options: AllOptions = {},
): Promise<MappedBitmap[]> {
  return bitsOfAll(file, (index) => extentVisitors(begin(index)), options);
}

const IGNORING: PartVisitor = {
  pushWords: () => undefined,
  pushDirty: () => undefined,
  pushClean: () => undefined,
};

/**
 * Shows the bits of every bitmap to a visitor of its own, as {@link extentsOfAll} shows their extents. `begin` makes what returns the
 * visitors.
 */
export async function bitsOfAll(
  file: QdbFile,
  begin: (index: QdbIndex) => (map: QdbClusterMap) => PartVisitor,
  options: AllOptions,
): Promise<MappedBitmap[]> {
  const { reader } = file;
  const { digests, options: accepted } = reader;
  const plan = function* (index: QdbIndex, refused: ReadonlyMap<BitmapEntry, Problem>): Plan<MappedBitmap[]> {
    refuseMirror(index, accepted);
    const visitorOf = begin(index);
    const unlessRefused = (map: QdbClusterMap): PartVisitor => (refused.has(map.entry) ? IGNORING : visitorOf(map));
    const mapped = yield* bitsOfAllPlan(index, unlessRefused, digests, options.onProgress, reader.isSync);
    for (const bitmap of mapped) {
      const refusal = refused.get(bitmap.entry);
      // Added last, since a problem of the bitmap itself is reported before one of its disk (QDB-ERR-025).
      if (refusal !== undefined && bitmap.usableMap !== undefined) bitmap.addDataProblem(refusal);
    }
    return mapped;
  };
  return runTask(reader.run(async (index) => plan(index, await refusalsOf(index, accepted)), options));
}

/**
 * Reads every bitmap into memory. For thousands of small bitmaps this takes four rounds of reads, including the two of `QdbFile.open`. A
 * bitmap that cannot be used, or that `beforeBits` refuses, has a problem instead of bits.
 * @throws {QdbError} LIMIT if all bits together take more than `maxBitmapBytes`; BAD_CHECKSUM if the header was read from the mirror and
 * `acceptMirror` is not set; what `QdbFile.open` throws
 * @example
 * for (const { entry, bitmap, problem } of await readAll(file)) {
 *   console.log(quote(entry.label), bitmap === undefined ? problem : bitmap.dirtyBytes());
 * }
 */
export async function readAll(file: QdbFile, options: AllOptions = {}): Promise<LoadedBitmap[]> {
  const { reader } = file;
  const { digests, options: accepted } = reader;
  const { maxBitmapBytes } = accepted;
  const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
  const loaded = reader.run(function* (index) {
    refuseMirror(index, accepted);
    return yield* readAllPlan(index, digests, { ...options, ...bounds });
  }, options);
  return withoutRefused(await runTask(loaded), accepted);
}

/** Returns the entries of a table whose bits `beforeBits` refuses, each with the error of `beforeBits` as a problem. */
async function refusalsOf({ table }: QdbIndex, options: BitsOptions): Promise<ReadonlyMap<BitmapEntry, Problem>> {
  const refused = new Map<BitmapEntry, Problem>();
  if (options.beforeBits === undefined) return refused;
  for (const entry of table.entries) {
    const problem = await refusalOf(entry, options);
    if (problem !== undefined) refused.set(entry, problem);
  }
  return refused;
}

/** Returns the bitmaps with a problem instead of bits for each one whose bits `beforeBits` refuses. */
async function withoutRefused(loaded: LoadedBitmap[], options: BitsOptions): Promise<LoadedBitmap[]> {
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
