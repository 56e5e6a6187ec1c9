import { itemAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import type { BitmapProblem } from "../open/entry-rules.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { Plan } from "../ports/plan.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { ClusterOwners } from "./cluster-owners.ts";
import { hasArea, l1Ranges } from "./l1-ranges.ts";
import { firstBrokenEntry } from "./l1-rules.ts";
import { type L1Fault, MappedBitmap } from "./mapped-bitmap.ts";
import type { OwnedRanges } from "./owned-ranges.ts";
import { QdbClusterMap } from "./qdb-cluster-map.ts";
import { type AreaResult, readL1Areas } from "./read-l1-areas.ts";

/** A generation of a file, with the L1 areas of all its bitmaps read and validated. */
export interface FileState {
  readonly index: QdbIndex;
  /** Every bitmap of the table, in the order of the table. */
  readonly mapped: readonly MappedBitmap[];
}

/**
 * Reads the L1 areas of the bitmaps in `entries`, up to 4096 in one round, and validates each L1 area: its place, its checksum, its
 * entries, and that each of its clusters has one owner. The owners are the header, the mirror, the bitmap table and the bitmaps in
 * `entries`, so that a reader of one bitmap passes one entry, and check and writers pass all of them (spec §3). Returns a bitmap for each
 * entry, in order.
 */
export function* loadMaps(
  index: QdbIndex,
  entries: readonly BitmapEntry[],
  { crc32 = ownCrc32 }: Digests = {},
): Plan<MappedBitmap[]> {
  const { form, clusterSize } = index;
  const context = { form, clusterSize, crc32 };
  const ranges = l1Ranges(entries, index);
  const results = yield* readL1Areas(entries, ranges, context);
  const areas = entries.map((entry, at) => {
    if (isEmpty(entry, index)) return new QdbClusterMap(entry, NO_BYTES, 0, context);
    const result = results[at];
    return result instanceof QdbClusterMap ? result : undefined;
  });
  const owners = new ClusterOwners(ranges, areas, index);
  const faultOf = faultFinder(index, ranges, owners);
  return entries.map((entry, at) => {
    const fault = hasArea(entry, index) ? faultOf(at, results[at]) : undefined;
    return new MappedBitmap(index, entry, areas[at], fault);
  });
}

const NO_BYTES = new DataView(new ArrayBuffer(0));

/**
 * Reads the L1 area of one bitmap and returns its cluster map.
 * @throws {QdbError} the code of the bitmap's first problem, if its bits cannot be used
 */
export function* readMap(index: QdbIndex, entry: BitmapEntry, digests: Digests = {}): Plan<QdbClusterMap> {
  const known = index.problems.get(entry.index);
  if (known !== undefined) throw QdbError.from(known);
  return itemAt(yield* loadMaps(index, [entry], digests), 0).requireMap();
}

/**
 * Whether a bitmap tracks a disk of 0 bytes and has no L1 area. False if a field on which offset or length of the L1 area depends breaks a
 * rule.
 */
function isEmpty(entry: BitmapEntry, index: QdbIndex): boolean {
  return entry.l1Size === 0 && entry.decodeFields().size === 0n && !index.problems.isUnplaced(entry.index);
}

/**
 * Returns a function that finds the first fault of the L1 area of index `at` in `ranges`. Faults of the same kind share one object if the
 * object holds nothing of their L1 areas, to save memory.
 */
function faultFinder(
  index: QdbIndex,
  ranges: OwnedRanges,
  owners: ClusterOwners,
): (at: number, result: AreaResult | undefined) => L1Fault | undefined {
  const outside: L1Fault = { kind: "outside", owners };
  const shared: L1Fault = { kind: "shared", owners };
  const checksum: L1Fault = { kind: "checksum", owners };
  const hit: L1Fault = { kind: "hit", owners };
  return (at, result) => {
    if (ranges.length(at) === 0) return outside;
    if (ranges.isShared(at)) return shared;
    if (result === undefined) throw new Error("an L1 area with a place of its own was not read");
    if (result === "checksum") return checksum;
    if (!(result instanceof QdbClusterMap)) return { kind: "unread", cause: result, owners };
    const first = firstBrokenEntry(result, index, owners);
    if (first >= 0) return { kind: "entries", first, owners };
    return owners.isOverlapped(ranges.offset(at)) ? hit : undefined;
  };
}

/**
 * Yields every problem of the L1 areas of bitmaps: first of their ranges of the file, then of reading and checksums, then of their entries.
 */
export function* l1ProblemsOf(mapped: readonly MappedBitmap[]): Generator<BitmapProblem, void> {
  for (const kinds of AREA_FAULTS) {
    for (const bitmap of mapped) {
      const problem = kinds.includes(bitmap.faultKind) ? bitmap.findAreaProblem() : undefined;
      if (problem !== undefined) yield { entry: bitmap.entry, problem };
    }
  }
  for (const bitmap of mapped) for (const problem of bitmap.findEntryProblems()) yield { entry: bitmap.entry, problem };
}

/** The kinds of faults of an L1 area as a whole, in the order in which their problems are listed. */
const AREA_FAULTS: readonly (readonly MappedBitmap["faultKind"][])[] = [
  ["outside"],
  ["shared"],
  ["unread", "checksum"],
];
