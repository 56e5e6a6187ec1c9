import { Bitmap } from "./bitmap/bitmap.ts";
import { ExtentBatch, RunCollector } from "./bitmap/runs.ts";
import { type BitVisitor, type Window, windows } from "./bits/cluster-windows.ts";
import { type BitOptions, Counts, type DirtyCount } from "./bits/read-bits.ts";
import { Scratch } from "./bits/scratch.ts";
import { type Problem, plainProblem, QdbError } from "./errors.ts";
import { type Limits, maxBitmapBytesOf } from "./limits.ts";
import { loadMaps } from "./maps/load-maps.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import type { QdbClusterMap } from "./maps/qdb-cluster-map.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { Digests } from "./ports/digest.ts";
import { type Plan, readEach } from "./ports/plan.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import { StoredBitmapFields } from "./stored-bitmap-fields.ts";

/** Maximum number of bytes of data clusters that one round reads, of all bitmaps together. */
const ROUND_BYTES = 16 * 1024 * 1024;
/** The same where a round is read without a promise, so that no time is lost between rounds: the bytes then are in the processor's cache. */
const SYNC_ROUND_BYTES = 1024 * 1024;
/** Maximum number of windows that one round reads. Each takes a few objects until the round ends, even if it has no bytes to read. */
const ROUND_PARTS = 4096;

/** A bitmap of a file: either its bits in memory (`bitmap`), or the problem because of which the bits cannot be used (`problem`). */
export interface LoadedBitmap {
  readonly entry: BitmapEntry;
  readonly bitmap: Bitmap | undefined;
  readonly problem: Problem | undefined;
}

/** A visitor that receives all bits of one bitmap, window by window. */
export interface PartVisitor extends BitVisitor {
  /** Called after the last bit was received. */
  end?(): void;
  /** Called instead of `end` if the data is damaged or cannot be read. No more bits follow. */
  fail?(): void;
}

/** How {@link visitAll} reads. */
interface Rounds {
  /** Maximum number of bytes of data clusters in a round. */
  readonly bytes: number;
  /** Where a round is read; absent if visitors keep the words that they receive. */
  readonly scratch?: Scratch | undefined;
}

/** A window of a bitmap, which is read in one round together with windows of other bitmaps. */
interface Part {
  readonly bitmap: MappedBitmap;
  readonly map: QdbClusterMap;
  readonly window: Window;
  readonly visitor: PartVisitor;
}

/**
 * Reads the data of bitmaps and shows the bits of each bitmap to a visitor of its own, in rounds of at most 16 MiB and 4096 windows.
 * Bitmaps that cannot be used are left out. If the data of a bitmap is damaged or cannot be read, the problem (BAD_CHECKSUM, IO,
 * SHORT_READ) is recorded in the bitmap, and the other bitmaps are still read.
 */
function* visitAll(
  mapped: readonly MappedBitmap[],
  visitorOf: (map: QdbClusterMap) => PartVisitor,
  onProgress?: BitOptions["onProgress"],
  rounds: Rounds = { bytes: ROUND_BYTES },
): Plan<void> {
  const total = bitsOfAll(mapped, (bits) => bits);
  let before = 0;
  let done = 0;
  let parts: Part[] = [];
  let bytes = 0;
  for (const bitmap of mapped) {
    const map = bitmap.usableMap;
    if (map === undefined) continue;
    const visitor = visitorOf(map);
    for (const window of windows(map, undefined, rounds.bytes)) {
      const length = window.ranges.reduce((sum, range) => sum + range.length, 0);
      if (bytes + length > rounds.bytes || parts.length === ROUND_PARTS) {
        yield* visitRound(parts, rounds.scratch);
        parts = [];
        bytes = 0;
        onProgress?.(done, total);
      }
      // If the round has found damage in this bitmap, the rest of the bitmap is not read.
      if (bitmap.usableMap === undefined) break;
      parts.push({ bitmap, map, window, visitor });
      bytes += length;
      done = before + window.endBit;
    }
    before += map.bitCount;
  }
  yield* visitRound(parts, rounds.scratch);
  onProgress?.(total, total);
}

/** Applies `measure` to the number of bits of each bitmap that can be used, and returns the sum. */
function bitsOfAll(mapped: readonly MappedBitmap[], measure: (bits: number) => number): number {
  return mapped.reduce((sum, { usableMap }) => (usableMap === undefined ? sum : sum + measure(usableMap.bitCount)), 0);
}

function* visitRound(parts: readonly Part[], scratch: Scratch | undefined): Plan<void> {
  const ranges = parts.flatMap(({ window }) => window.ranges);
  const pieces = yield* readEach(scratch?.ranges(ranges) ?? ranges);
  let next = 0;
  for (const { bitmap, map, window, visitor } of parts) {
    const own = pieces.slice(next, next + window.ranges.length);
    next += window.ranges.length;
    if (bitmap.usableMap === undefined) continue;
    const problem = visitWindow(map, window, own, visitor);
    if (problem !== undefined) {
      bitmap.addDataProblem(problem);
      visitor.fail?.();
    } else if (window.endBit === map.bitCount) {
      visitor.end?.();
    }
  }
}

function visitWindow(
  map: QdbClusterMap,
  window: Window,
  pieces: readonly (Uint8Array | QdbError)[],
  visitor: PartVisitor,
): Problem | undefined {
  const good: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) {
      good.push(piece);
      continue;
    }
    const { code, message } = piece;
    const where = { ...piece.where, structure: "data cluster", bitmap: map.label };
    return { code, message: `the data cluster cannot be read: ${message}`, where };
  }
  try {
    window.visit(good, visitor);
  } catch (error) {
    if (!(error instanceof QdbError)) throw error;
    return plainProblem(error);
  }
  return undefined;
}

/** Returns a visitor that sets the bits it receives in a bitmap. */
function filling(bitmap: Bitmap): BitVisitor {
  return {
    pushWords: (words, base) => bitmap.mergeWordsAt(base, words),
    pushDirty: (range) => bitmap.markBits(range),
    pushClean: () => undefined,
  };
}

/**
 * Reads every bitmap of a file into memory: all L1 areas first, then the data of all bitmaps in rounds of at most 16 MiB. For a few
 * thousand small bitmaps this takes two rounds, after the two for header and table. A bitmap that cannot be used has a problem instead of
 * bits.
 * @throws {QdbError} LIMIT if the bits of all usable bitmaps together take more than `maxBitmapBytes`
 */
export function* readAllPlan(
  index: QdbIndex,
  digests: Digests = {},
  options: Limits & Pick<BitOptions, "onProgress"> = {},
): Plan<LoadedBitmap[]> {
  const mapped = yield* loadMaps(index, index.table.entries, digests);
  const limit = maxBitmapBytesOf(options);
  const needed = bitsOfAll(mapped, (bits) => Math.ceil(bits / 8));
  if (needed > limit) {
    throw new QdbError(
      "LIMIT",
      `the bitmaps take ${needed} bytes in memory, at most ${limit} are allowed; read them one by one, or raise maxBitmapBytes`,
    );
  }
  const bitmaps = new Map<BitmapEntry, Bitmap>();
  const visitorOf = (map: QdbClusterMap): PartVisitor => {
    const bitmap = Bitmap.clean(map.shape);
    bitmaps.set(map.entry, bitmap);
    return { ...filling(bitmap), fail: () => bitmaps.delete(map.entry) };
  };
  yield* visitAll(mapped, visitorOf, options.onProgress);
  return mapped.map((one) => {
    const { entry } = one;
    const problem = one.findProblem();
    const bitmap = bitmaps.get(entry);
    if ((problem === undefined) !== (bitmap !== undefined)) throw new Error("a bitmap has neither bits nor a problem");
    return { entry, bitmap, problem };
  });
}

/** A bitmap of a file with the number of its dirty bits. */
export class CountedBitmap extends StoredBitmapFields {
  readonly #mapped: MappedBitmap;
  readonly #counts: Counts;

  /** `counts` has the numbers of dirty bits of all bitmaps, by index of the table entry. @internal */
  constructor(index: QdbIndex, mapped: MappedBitmap, counts: Counts) {
    super(index, mapped.entry);
    this.#mapped = mapped;
    this.#counts = counts;
  }

  /** The cluster map; undefined if the L1 area or one of its entries has a problem. */
  get map(): QdbClusterMap | undefined {
    return this.#mapped.map;
  }

  /** How much is dirty; undefined if the bits cannot be used, and {@link problem} is the reason then. */
  get dirty(): DirtyCount | undefined {
    const map = this.#mapped.usableMap;
    return map === undefined ? undefined : this.#counts.total(map.shape, map.entry.index);
  }

  /** The first problem of the bitmap, in the order of spec §7, that of its L1 area and its data included; undefined if its bits can be used. */
  override get problem(): Problem | undefined {
    return this.#mapped.findProblem();
  }
}

/** Counts the dirty bits of every bitmap of a file, as {@link bitsOfAllPlan}. A bitmap that cannot be used has a problem instead of a count. */
export function* countAllPlan(
  index: QdbIndex,
  digests: Digests = {},
  onProgress?: BitOptions["onProgress"],
  isSync = false,
): Plan<CountedBitmap[]> {
  const counts = new Counts(index.table.entries.length);
  const visitorOf = (map: QdbClusterMap): PartVisitor =>
    counts.visitor(map.entry.index, { first: 0, end: map.bitCount });
  const mapped = yield* bitsOfAllPlan(index, visitorOf, digests, onProgress, isSync);
  return mapped.map((bitmap) => new CountedBitmap(index, bitmap, counts));
}

/**
 * Receives the dirty extents of the bitmaps of a file: bitmap by bitmap in the order of the table, each in ascending order. If a bitmap's
 * data turns out to be damaged after some of its extents were received, the bitmap that the call returns has a problem, and no more of its
 * extents follow.
 */
export type ExtentsVisitor = (entry: BitmapEntry, batch: ExtentBatch) => void;

/**
 * Shows the bits of every bitmap of a file to a visitor of its own, which keeps no words, bitmap by bitmap in the order of the table.
 * Returns all bitmaps; those that cannot be used have a problem. `isSync` says that the plan runs on a synchronous source, from which less
 * is read at a time.
 */
export function* bitsOfAllPlan(
  index: QdbIndex,
  visitorOf: (map: QdbClusterMap) => PartVisitor,
  digests: Digests = {},
  onProgress?: BitOptions["onProgress"],
  isSync = false,
): Plan<MappedBitmap[]> {
  const mapped = yield* loadMaps(index, index.table.entries, digests);
  const rounds: Rounds = isSync ? { bytes: SYNC_ROUND_BYTES, scratch: new Scratch() } : { bytes: ROUND_BYTES };
  yield* visitAll(mapped, visitorOf, onProgress, rounds);
  return mapped;
}

/** Returns visitors for {@link bitsOfAllPlan} that look for extents and pass them on. */
export function extentVisitors(visitor: ExtentsVisitor): (map: QdbClusterMap) => PartVisitor {
  // One collector serves all bitmaps: the last bit of a bitmap is received before the first bit of the next one.
  let collector = new RunCollector();
  return (map) => {
    const show = (runs: Uint32Array): void => visitor(map.entry, new ExtentBatch(map.shape, runs));
    return {
      pushWords: (words, base) => {
        collector.pushWords(words, base);
        collector.take().forEach(show);
      },
      pushDirty: (range) => collector.pushDirty(range),
      pushClean: (first) => collector.pushClean(first),
      end: () => collector.finish(map.bitCount).forEach(show),
      fail: () => {
        collector = new RunCollector();
      },
    };
  };
}
