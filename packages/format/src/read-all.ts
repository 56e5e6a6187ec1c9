import { Bitmap } from "./bitmap/bitmap.ts";
import { ExtentBatch, RunCollector } from "./bitmap/runs.ts";
import { type BitVisitor, type Window, windows } from "./bits/cluster-windows.ts";
import { type BitOptions, Counts, type DirtyCount } from "./bits/read-bits.ts";
import { type Problem, QdbError } from "./errors.ts";
import { DEFAULT_MAX_BITMAP_BYTES, type Limits } from "./limits.ts";
import { type LoadedMaps, loadMaps, type MappedBitmap } from "./maps/load-maps.ts";
import type { QdbClusterMap } from "./maps/qdb-cluster-map.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { Digests } from "./ports/digest.ts";
import { type Plan, readEach } from "./ports/plan.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";

/** Most bytes of data clusters that one round reads, whichever bitmaps they belong to. */
const ROUND_BYTES = 16 * 1024 * 1024;
/** Most pieces of bitmaps that one round takes in, also where they have nothing to read: each is held as objects until then. */
const ROUND_PARTS = 4096;

/** A bitmap of the table with its bits in memory, or with what keeps them from being used: exactly one of the two is there. */
export interface LoadedBitmap {
  readonly entry: BitmapEntry;
  readonly bitmap: Bitmap | undefined;
  readonly problem: Problem | undefined;
}

/** Is shown the bits of one bitmap, a window after the other. */
interface PartVisitor extends BitVisitor {
  /** All bits were shown. */
  end?(): void;
  /** The rest is not shown: damage was found. */
  fail?(): void;
}

/** A window whose data is read in the same round as others'. */
interface Part {
  /** Place of the bitmap in the list. */
  readonly position: number;
  readonly map: QdbClusterMap;
  readonly window: Window;
  readonly visitor: PartVisitor;
}

/** What went wrong with bitmaps, by their places in the list. */
type Failures = Map<number, Problem>;

/**
 * Shows the bits of many bitmaps to a visitor each, in rounds of at most 16 MiB that take in as many bitmaps as fit, 4096 at most.
 * A bitmap whose data is bad or cannot be read does not take the others with it.
 * Gives what went wrong: BAD_CHECKSUM, IO, SHORT_READ.
 */
function* visitAll(
  maps: LoadedMaps,
  visitorOf: (map: QdbClusterMap, position: number) => PartVisitor,
  onProgress?: BitOptions["onProgress"],
): Plan<Failures> {
  const failures: Failures = new Map();
  let total = 0;
  for (let position = 0; position < maps.count; position++) total += maps.usableMap(position)?.bitCount ?? 0;
  let before = 0;
  let done = 0;
  let parts: Part[] = [];
  let bytes = 0;
  for (let position = 0; position < maps.count; position++) {
    const map = maps.usableMap(position);
    if (map === undefined) continue;
    const visitor = visitorOf(map, position);
    for (const window of windows(map, undefined, ROUND_BYTES)) {
      const length = window.ranges.reduce((sum, range) => sum + range.length, 0);
      if (bytes + length > ROUND_BYTES || parts.length === ROUND_PARTS) {
        yield* visitRound(parts, failures);
        parts = [];
        bytes = 0;
        onProgress?.(done, total);
      }
      // What is left of a bitmap that is bad already is not worth reading.
      if (failures.has(position)) break;
      parts.push({ position, map, window, visitor });
      bytes += length;
      done = before + window.endBit;
    }
    before += map.bitCount;
  }
  yield* visitRound(parts, failures);
  onProgress?.(total, total);
  return failures;
}

function* visitRound(parts: readonly Part[], failures: Failures): Plan<void> {
  const pieces = yield* readEach(parts.flatMap(({ window }) => window.ranges));
  let next = 0;
  for (const part of parts) {
    const own = pieces.slice(next, next + part.window.ranges.length);
    next += part.window.ranges.length;
    if (failures.has(part.position)) continue;
    const problem = visitWindow(part, own);
    if (problem !== undefined) {
      failures.set(part.position, problem);
      part.visitor.fail?.();
    } else if (part.window.endBit === part.map.bitCount) {
      part.visitor.end?.();
    }
  }
}

function visitWindow({ map, window, visitor }: Part, pieces: readonly (Uint8Array | QdbError)[]): Problem | undefined {
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
    // The error itself would be held with its stack.
    const { code, message, where } = error;
    return { code, message, where };
  }
  return undefined;
}

/**
 * Reads every bitmap of a file into memory: all L1 areas first, then the data of all bitmaps in rounds of at most 16 MiB.
 * With header and table that is four rounds for a few thousand small bitmaps. One in error has its problem in place of its bits.
 * @throws {QdbError} LIMIT when the bits of all usable bitmaps together take more than `maxBitmapBytes`
 */
export function* readAllPlan(
  index: QdbIndex,
  digests: Digests = {},
  options: Limits & Pick<BitOptions, "onProgress"> = {},
): Plan<LoadedBitmap[]> {
  const maps = yield* loadMaps(index, index.table.entries, digests);
  const most = options.maxBitmapBytes ?? DEFAULT_MAX_BITMAP_BYTES;
  let needed = 0;
  for (let position = 0; position < maps.count; position++)
    needed += Math.ceil((maps.usableMap(position)?.bitCount ?? 0) / 8);
  if (needed > most) {
    throw new QdbError(
      "LIMIT",
      `the bitmaps take ${needed} bytes in memory, at most ${most} are allowed; read them one by one, or raise maxBitmapBytes`,
    );
  }
  const bitmaps = new Map<number, Bitmap>();
  const loading = (map: QdbClusterMap, position: number): BitVisitor => {
    const bitmap = Bitmap.clean(map.shape);
    bitmaps.set(position, bitmap);
    return {
      pushWords: (words, base) => bitmap.mergeWordsAt(base, words),
      pushDirty: (bits) => bitmap.markBits(bits),
      pushClean: () => undefined,
    };
  };
  const failures = yield* visitAll(maps, loading, options.onProgress);
  return maps.bitmaps().map(({ entry, problem }, position) => {
    const bitmap = bitmaps.get(position);
    const wrong = problem ?? failures.get(position);
    if (wrong !== undefined || bitmap === undefined) {
      return { entry, bitmap: undefined, problem: wrong ?? noMap(entry) };
    }
    return { entry, bitmap, problem: undefined };
  });
}

/** A bitmap of a file with what its bits count up to. */
export interface CountedBitmap extends MappedBitmap {
  /** Undefined when the bits cannot be used; `problem` then says why. */
  readonly dirty: DirtyCount | undefined;
}

/** Counts the dirty bits of every bitmap of a file, in the same rounds. One in error has its problem in place of its count. */
export function* countAllPlan(
  index: QdbIndex,
  digests: Digests = {},
  onProgress?: BitOptions["onProgress"],
): Plan<CountedBitmap[]> {
  const maps = yield* loadMaps(index, index.table.entries, digests);
  const counts = new Counts(maps.count);
  const failures = yield* visitAll(
    maps,
    (map, position) => counts.visitor(position, { first: 0, end: map.bitCount }),
    onProgress,
  );
  return index.table.entries.map((entry, position) => new Counted(maps, entry, position, failures, counts));
}

/**
 * Is shown the dirty extents of the bitmaps of a file: those of one bitmap after those of the one before it in the table, in
 * ascending order. A bitmap in which damage is found only on the way may have been shown in part: its problem tells.
 */
export type ExtentsVisitor = (entry: BitmapEntry, batch: ExtentBatch) => void;

/** Shows the dirty extents of every bitmap of a file to a visitor, in the same rounds. Gives the bitmaps with what is wrong with them. */
export function* extentsOfAllPlan(
  index: QdbIndex,
  visitor: ExtentsVisitor,
  digests: Digests = {},
  onProgress?: BitOptions["onProgress"],
): Plan<MappedBitmap[]> {
  const maps = yield* loadMaps(index, index.table.entries, digests);
  // One for all: each bitmap is shown to its end before the next one.
  let collector = new RunCollector();
  const showing = (map: QdbClusterMap): PartVisitor => {
    const show = (runs: Uint32Array): void => visitor(map.entry, new ExtentBatch(map.shape, runs));
    return {
      pushWords: (words, base) => {
        collector.pushWords(words, base);
        collector.take().forEach(show);
      },
      pushDirty: (bits) => collector.pushDirty(bits),
      pushClean: (first) => collector.pushClean(first),
      end: () => collector.finish(map.bitCount).forEach(show),
      fail: () => {
        collector = new RunCollector();
      },
    };
  };
  const failures = yield* visitAll(maps, showing, onProgress);
  return index.table.entries.map((entry, position) => new Visited(maps, entry, position, failures));
}

/** A bitmap whose data was looked at. Its parts are made when they are asked for: a file can have tens of thousands. */
class Visited implements MappedBitmap {
  readonly entry: BitmapEntry;
  protected readonly position: number;
  readonly #maps: LoadedMaps;
  readonly #failures: Failures;

  constructor(maps: LoadedMaps, entry: BitmapEntry, position: number, failures: Failures) {
    this.#maps = maps;
    this.entry = entry;
    this.position = position;
    this.#failures = failures;
  }

  get map(): QdbClusterMap | undefined {
    return this.#maps.map(this.position, this.entry);
  }

  get area(): QdbClusterMap | undefined {
    return this.#maps.area(this.position, this.entry);
  }

  get problem(): Problem | undefined {
    const problem = this.#maps.problem(this.position, this.entry);
    return problem ?? (this.map === undefined ? noMap(this.entry) : this.#failures.get(this.position));
  }
}

/** The same with what its bits count up to. */
class Counted extends Visited implements CountedBitmap {
  readonly #counts: Counts;

  constructor(maps: LoadedMaps, entry: BitmapEntry, position: number, failures: Failures, counts: Counts) {
    super(maps, entry, position, failures);
    this.#counts = counts;
  }

  get dirty(): DirtyCount | undefined {
    const { map } = this;
    if (map === undefined || this.problem !== undefined) return undefined;
    return this.#counts.total(map.shape, this.position);
  }
}

function noMap(entry: BitmapEntry): Problem {
  return { code: "BAD_FIELD", message: "the bitmap has no usable L1 area", where: { bitmap: entry.label } };
}
