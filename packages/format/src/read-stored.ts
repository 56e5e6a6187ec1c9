// The calls that give out the bits of a bitmap of an open file, for `StoredBitmap` and `StoredBitmapSync`.
import type { Bitmap } from "./bitmap/bitmap.ts";
import type { ExtentBatch } from "./bitmap/runs.ts";
import { type BitOptions, bitmapPlan, countPlan, type DirtyCount, extentsPlan } from "./bits/read-bits.ts";
import { QdbError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import { readMap } from "./maps/load-maps.ts";
import { askBeforeBits } from "./open/before-bits.ts";
import { refuseMirror } from "./open/header-source.ts";
import { findBitmap, type QdbIndex } from "./open/qdb-index.ts";
import type { RunOptions } from "./ports/drivers.ts";
import type { Plan } from "./ports/plan.ts";
import { type Task, wait } from "./ports/task.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { QdbReader } from "./retry/qdb-reader.ts";
import type { StreamOptions } from "./retry/run-with-retry.ts";

/** Options of a call that reads the bits of a bitmap. */
export type CallOptions = RunOptions & BitOptions;

/** Puts out the dirty extents of a bitmap in batches. @throws {QdbError} as `StoredBitmap.extents` */
export function batchesOf(
  file: QdbReader,
  entry: BitmapEntry,
  options: CallOptions & StreamOptions,
): Task<void, ExtentBatch> {
  const plan = function* (index: QdbIndex): Plan<void, ExtentBatch> {
    refuseMirror(index, file.options, entry.label);
    yield* extentsPlan(yield* readMap(index, sameBitmap(index, entry), file.digests), options);
  };
  const permit = (index: QdbIndex): void | PromiseLike<void> => askBeforeBits(file.options, sameBitmap(index, entry));
  return file.stream(plan, ({ runs }) => runs.byteLength, { ...options, permit });
}

/** Counts the dirty bits of a bitmap. @throws {QdbError} as `StoredBitmap.count` */
export function countOf(file: QdbReader, entry: BitmapEntry, options: CallOptions): Task<DirtyCount> {
  const plan = function* (index: QdbIndex, same: BitmapEntry): Plan<DirtyCount> {
    return yield* countPlan(yield* readMap(index, same, file.digests), options);
  };
  return readSame(file, entry, plan, options);
}

/** Reads the bits of a bitmap. @throws {QdbError} as `StoredBitmap.read` */
export function bitsOf(file: QdbReader, entry: BitmapEntry, options: Omit<CallOptions, "within">): Task<Bitmap> {
  const { digests, options: accepted } = file;
  const { maxBitmapBytes } = accepted;
  const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
  const plan = function* (index: QdbIndex, same: BitmapEntry): Plan<Bitmap> {
    refuseMirror(index, accepted, same.label);
    return yield* bitmapPlan(yield* readMap(index, same, digests), { ...options, ...bounds });
  };
  return readSame(file, entry, plan, options);
}

/** Runs a plan on one generation of the file, with the table entry of this bitmap. Calls `beforeBits` before it returns the result. */
function* readSame<T>(
  file: QdbReader,
  entry: BitmapEntry,
  plan: (index: QdbIndex, same: BitmapEntry) => Plan<T>,
  options: RunOptions,
): Task<T> {
  const { result, same } = yield* file.run(function* (index) {
    const found = sameBitmap(index, entry);
    return { result: yield* plan(index, found), same: found };
  }, options);
  yield* wait(askBeforeBits(file.options, same));
  return result;
}

/**
 * Returns the entry in the table of `index` that is of the same bitmap as `entry`: `entry` itself if the table was not read anew, otherwise
 * the entry with the same name.
 * @throws {QdbError} NOT_FOUND if the bitmap is not in the file any more
 */
function sameBitmap(index: QdbIndex, entry: BitmapEntry): BitmapEntry {
  const same = index.table.entries[entry.index];
  if (same === entry) return entry;
  // A name that is not UTF-8 cannot be looked up, and another bitmap may be at the index of `entry` now.
  if (entry.name === undefined)
    throw new QdbError("NOT_FOUND", "there is no such bitmap in the file any more", { bitmap: entry.label });
  return findBitmap(index, entry.name);
}
