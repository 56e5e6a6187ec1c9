// The calls that give out the bits of a bitmap of an open file, for `StoredBitmap` and `StoredBitmapSync`.
import type { ExtentBatch } from "./bitmap/runs.ts";
import { type BitOptions, countPlan, type DirtyCount } from "./bits/read-bits.ts";
import { ExtentCollector, memoryOf, type VerifiedBits, verifiedBitsPlan } from "./bits/verified-bits.ts";
import { QdbError } from "./errors.ts";
import { askBeforeBits } from "./open/before-bits.ts";
import { refuseMirror } from "./open/header-source.ts";
import { findBitmap, type QdbIndex } from "./open/qdb-index.ts";
import type { RunOptions } from "./ports/drivers.ts";
import { LongCall } from "./ports/long-call.ts";
import type { Plan } from "./ports/plan.ts";
import { forEachPut, putAll, type Task, wait } from "./ports/task.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { QdbReader } from "./retry/qdb-reader.ts";
import type { StreamOptions } from "./retry/run-with-retry.ts";

/** Options of a call that reads the bits of a bitmap. */
export type CallOptions = RunOptions & BitOptions;

/**
 * How many bytes of bits are held back before the first extent is yielded. It takes about a millisecond to read so much, and a bitmap that
 * has no more is never torn by a commit.
 */
const HOLD_BYTES = 256 * 1024;

/** Puts out the dirty extents of a bitmap in batches. @throws {QdbError} as `StoredBitmap.extents` */
export function* batchesOf(
  file: QdbReader,
  entry: BitmapEntry,
  options: CallOptions & StreamOptions,
): Task<void, ExtentBatch> {
  const { within, onProgress, signal = file.options.signal, holdBytes = HOLD_BYTES } = options;
  const plan = function* (index: QdbIndex): Plan<void, VerifiedBits> {
    refuseMirror(index, file.options, entry.label);
    yield* verifiedBitsPlan(yield* file.readMap(index, sameBitmap(index, entry)), within);
  };
  const permit = (index: QdbIndex): void | PromiseLike<void> => askBeforeBits(file.options, sameBitmap(index, entry));
  const call = new LongCall({ signal, onProgress }, () => file.timing.turn());
  const collector = new ExtentCollector(within);
  let last: VerifiedBits | undefined;
  yield* forEachPut(file.stream(plan, memoryOf, { ...options, holdBytes, permit }), function* (bits) {
    const { shape, range, endBit, pieces } = bits;
    const step = (): Task<void> => wait(call.step(endBit - range.first, range.end - range.first));
    for (const piece of pieces) {
      for (const batch of collector.collect(piece, shape)) {
        yield* putAll([batch]);
        yield* step();
      }
    }
    yield* step();
    last = bits;
  });
  if (last === undefined) return;
  yield* putAll(collector.finish(last.range, last.shape));
  call.finish(last.range.end - last.range.first);
}

/** Counts the dirty bits of a bitmap. @throws {QdbError} as `StoredBitmap.count` */
export function countOf(file: QdbReader, entry: BitmapEntry, options: CallOptions): Task<DirtyCount> {
  const plan = function* (index: QdbIndex, same: BitmapEntry): Plan<DirtyCount> {
    return yield* countPlan(yield* file.readMap(index, same), options);
  };
  return readSame(file, entry, plan, options);
}

/** Runs a plan on one generation of the file, with the table entry of this bitmap. Calls `beforeBits` before it returns the result. */
export function* readSame<T>(
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
export function sameBitmap(index: QdbIndex, entry: BitmapEntry): BitmapEntry {
  const same = index.table.entries[entry.index];
  if (same === entry) return entry;
  // A name that is not UTF-8 cannot be looked up, and another bitmap may be at the index of `entry` now.
  if (entry.name === undefined)
    throw new QdbError("NOT_FOUND", "there is no such bitmap in the file any more", { bitmap: entry.label });
  return findBitmap(index, entry.name);
}
