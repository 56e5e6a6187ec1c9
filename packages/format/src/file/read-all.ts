import { Bitmap } from "../bitmap/bitmap.ts";
import { type Problem, QdbError } from "../errors.ts";
import { DEFAULT_MAX_BITMAP_BYTES, type Limits } from "../limits.ts";
import type { Digests } from "../ports/digest.ts";
import { type Plan, quietly, readEach } from "../ports/plan.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { type BitOptions, Counter, type DirtyCount } from "./bits.ts";
import type { ClusterMap } from "./cluster-map.ts";
import { type MappedBitmap, readMaps } from "./maps.ts";
import type { QdbIndex } from "./qdb-index.ts";
import { type BitVisitor, type Window, windows } from "./windows.ts";

/** Most bytes of data clusters that one round reads, whichever bitmaps they belong to. */
const ROUND_BYTES = 16 * 1024 * 1024;

/** A bitmap of the table with its bits in memory, or with what keeps them from being used: exactly one of the two is there. */
export interface LoadedBitmap {
  readonly entry: BitmapEntry;
  readonly bitmap: Bitmap | undefined;
  readonly problem: Problem | undefined;
}

/** A window whose data is read in the same round as others'. */
interface Part {
  readonly map: ClusterMap;
  readonly window: Window;
  readonly visitor: BitVisitor;
}

/**
 * Shows the bits of many bitmaps to a visitor each, in rounds of at most 16 MiB that take in as many bitmaps as fit: the data of
 * small ones is one round, however many they are. A bitmap whose data is bad or cannot be read does not take the others with it.
 * Gives what went wrong: BAD_CHECKSUM, IO, SHORT_READ.
 */
export function* visitAll(
  maps: readonly ClusterMap[],
  visitorOf: (map: ClusterMap) => BitVisitor,
  onProgress?: BitOptions["onProgress"],
): Plan<ReadonlyMap<ClusterMap, QdbError>> {
  const problems = new Map<ClusterMap, QdbError>();
  const total = maps.reduce((sum, map) => sum + map.bits, 0);
  let before = 0;
  let done = 0;
  let parts: Part[] = [];
  let bytes = 0;
  for (const map of maps) {
    const visitor = visitorOf(map);
    for (const window of windows(map, undefined, ROUND_BYTES)) {
      const length = window.ranges.reduce((sum, range) => sum + range.length, 0);
      if (bytes + length > ROUND_BYTES) {
        yield* visitRound(parts, problems);
        parts = [];
        bytes = 0;
        onProgress?.(done, total);
      }
      // What is left of a bitmap that is bad already is not worth reading.
      if (problems.has(map)) break;
      parts.push({ map, window, visitor });
      bytes += length;
      done = before + window.endBit;
    }
    before += map.bits;
  }
  yield* visitRound(parts, problems);
  onProgress?.(total, total);
  return problems;
}

function* visitRound(parts: readonly Part[], problems: Map<ClusterMap, QdbError>): Plan<void> {
  const pieces = yield* readEach(parts.flatMap(({ window }) => window.ranges));
  let next = 0;
  for (const { map, window, visitor } of parts) {
    const own = pieces.slice(next, next + window.ranges.length);
    next += window.ranges.length;
    if (problems.has(map)) continue;
    const problem = visitWindow(map, window, own, visitor);
    if (problem !== undefined) problems.set(map, problem);
  }
}

function visitWindow(
  map: ClusterMap,
  window: Window,
  pieces: readonly (Uint8Array | QdbError)[],
  visitor: BitVisitor,
): QdbError | undefined {
  const good: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) {
      good.push(piece);
      continue;
    }
    const where = { ...piece.where, structure: "data cluster", bitmap: map.label };
    return new QdbError(piece.code, `the data cluster cannot be read: ${piece.message}`, where, { cause: piece });
  }
  try {
    window.visit(good, visitor);
  } catch (error) {
    if (error instanceof QdbError) return error;
    throw error;
  }
  return undefined;
}

/**
 * Reads every bitmap of a file into memory: one round for all L1 areas, then the data of all bitmaps in rounds of at most 16 MiB.
 * With header and table that is four rounds for any number of small bitmaps. One in error has its problem in place of its bits.
 * @throws {QdbError} LIMIT when the bits of all usable bitmaps together take more than `maxBitmapBytes`
 */
export function* readAllPlan(
  index: QdbIndex,
  digests: Digests = {},
  options: Limits & Pick<BitOptions, "onProgress"> = {},
): Plan<LoadedBitmap[]> {
  const mapped = yield* quietly(readMaps(index, index.table.entries, digests));
  const usable = mapped.flatMap(({ map, problem }) => (map === undefined || problem !== undefined ? [] : [map]));
  const most = options.maxBitmapBytes ?? DEFAULT_MAX_BITMAP_BYTES;
  const needed = usable.reduce((sum, map) => sum + Math.ceil(map.bits / 8), 0);
  if (needed > most) {
    throw new QdbError(
      "LIMIT",
      `the bitmaps take ${needed} bytes in memory, at most ${most} are allowed; read them one by one, or raise maxBitmapBytes`,
    );
  }
  const bitmaps = new Map<ClusterMap, Bitmap>(usable.map((map) => [map, Bitmap.clean(map.shape)]));
  const loading = (map: ClusterMap): BitVisitor => ({
    pushWords: (words, base) => bitmaps.get(map)?.mergeWordsAt(base, words),
    pushDirty: (bits) => bitmaps.get(map)?.markBits(bits),
    pushClean: () => undefined,
  });
  const failed = yield* visitAll(usable, loading, options.onProgress);
  return mapped.map(({ entry, map, problem }) => {
    const bitmap = map === undefined ? undefined : bitmaps.get(map);
    const wrong = problem ?? (map === undefined ? undefined : failed.get(map));
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
  const mapped = yield* quietly(readMaps(index, index.table.entries, digests));
  const usable = mapped.flatMap(({ map, problem }) => (map === undefined || problem !== undefined ? [] : [map]));
  const counters = new Map<ClusterMap, Counter>(usable.map((map) => [map, new Counter(map)]));
  const failed = yield* visitAll(usable, (map) => counters.get(map) ?? new Counter(map), onProgress);
  return mapped.map((bitmap) => {
    const { map } = bitmap;
    const problem = bitmap.problem ?? (map === undefined ? noMap(bitmap.entry) : failed.get(map));
    const dirty = problem === undefined && map !== undefined ? counters.get(map)?.total() : undefined;
    return { ...bitmap, problem, dirty };
  });
}

function noMap(entry: BitmapEntry): Problem {
  return { code: "BAD_FIELD", message: "the bitmap has no usable L1 area", where: { bitmap: entry.label } };
}
