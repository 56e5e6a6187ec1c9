import { type Problem, QdbError, type Report } from "../errors.ts";
import { fileOffset, isInside } from "../layout/numbers.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import { type Plan, put, quietly, readEach } from "../ports/plan.ts";
import { type BitmapEntry, entryProblem } from "../records/bitmap-entry.ts";
import { L1_CHECKSUM, L1_ENTRY, L1Area, l1Problem } from "../records/l1.ts";
import { QdbClusterMap } from "./cluster-map.ts";
import { checkAligned, checkPlace, type FileLayout } from "./layout.ts";
import { duplicates, type Extent, Extents, overlapping } from "./ownership.ts";
import type { QdbIndex } from "./qdb-index.ts";
import { type BitmapProblem, l1Reference } from "./table.ts";

/** A bitmap of the table with its cluster map, when its L1 area and all its entries are good. */
export interface MappedBitmap {
  readonly entry: BitmapEntry;
  /** Undefined when the L1 area could not be trusted. */
  readonly map: QdbClusterMap | undefined;
  /** Its L1 area where it has its place and matches its checksum, whatever its entries say. */
  readonly area?: QdbClusterMap | undefined;
  /** First problem of the bitmap, in the order of spec §7; its bits are refused while there is one. */
  readonly problem: Problem | undefined;
}

/** What a file says, as a writer knows it: one generation. */
export interface FileState {
  readonly index: QdbIndex;
  /** Every bitmap of the table, in its order. */
  readonly mapped: readonly MappedBitmap[];
}

/**
 * Reads the L1 areas of bitmaps, one round for all, and validates them: place, checksum, entries, and that each cluster has one
 * owner among header, mirror, table and the bitmaps given (spec §3: a reader of one gives one, check and writers give all).
 * Puts out every problem that it finds, bitmap by bitmap and in order; gives the bitmaps in the order given.
 */
export function* readMaps(
  index: QdbIndex,
  selected: readonly BitmapEntry[],
  digests: Digests = {},
): Plan<MappedBitmap[], BitmapProblem> {
  const problems = (yield* loadMaps(index, selected, digests))();
  for (;;) {
    const step = problems.next();
    if (step.done === true) return step.value;
    yield* put(step.value);
  }
}

/** Reads the L1 areas as {@link readMaps} does, and gives what goes through their problems: as often as it is asked to, reading nothing more. */
export function* loadMaps(
  index: QdbIndex,
  selected: readonly BitmapEntry[],
  digests: Digests = {},
): Plan<() => Generator<BitmapProblem, MappedBitmap[]>> {
  const { inside, placed, problems } = placeAreas(index, selected);
  const areas = yield* readEach(placed.map((entry) => l1Range(entry, index)));
  return () => mapAreas(index, selected, digests.crc32 ?? ownCrc32, { inside, placed, problems, areas });
}

function* mapAreas(
  index: QdbIndex,
  selected: readonly BitmapEntry[],
  crc32: NonNullable<Digests["crc32"]>,
  { inside, placed, problems, areas }: ReturnType<typeof placeAreas> & { areas: readonly (Uint8Array | QdbError)[] },
): Generator<BitmapProblem, MappedBitmap[]> {
  const firsts = new Map<BitmapEntry, Problem>();
  const tell = function* (entry: BitmapEntry, problem: Problem): Generator<BitmapProblem, void> {
    if (!firsts.has(entry)) firsts.set(entry, problem);
    yield { entry, problem };
  };
  for (const { entry, problem } of problems) yield* tell(entry, problem);
  const maps = new Map<BitmapEntry, QdbClusterMap>();
  for (const [position, entry] of placed.entries()) {
    const bytes = areas[position];
    if (bytes === undefined) continue;
    if (bytes instanceof QdbError) {
      yield* tell(
        entry,
        entryProblem(entry, "l1TableOffset", bytes.code, `the L1 area cannot be read: ${bytes.message}`),
      );
      continue;
    }
    if (index.form === "full" && crc32(bytes) !== entry.fields.l1Checksum) {
      const message = "the L1 area does not match l1_checksum; qdb check -r makes the whole bitmap dirty";
      yield* tell(entry, entryProblem(entry, "l1Checksum", "BAD_CHECKSUM", message));
      continue;
    }
    const area = new L1Area(bytes, entry.fields.l1Size, index.form);
    maps.set(entry, new QdbClusterMap(entry, area, l1Range(entry, index).offset, index.clusterSize, crc32));
  }
  const owners = findOwners(index, inside, maps);
  const read = new Map(maps);
  for (const entry of inside) {
    const map = maps.get(entry);
    if (map !== undefined) for (const problem of validateL1(map, index, owners.isDouble)) yield* tell(entry, problem);
    if (owners.hit.has(entry)) {
      const message = "a data cluster of a bitmap lies over the L1 area";
      yield* tell(entry, entryProblem(entry, "l1TableOffset", "OVERLAP", message));
    }
    if (firsts.has(entry)) maps.delete(entry);
  }
  return selected.map((entry) => ({
    entry,
    area: read.get(entry),
    map: entry.fields.l1Size === 0 ? emptyMap(entry, index, crc32) : maps.get(entry),
    problem: index.problems.get(entry.index) ?? firsts.get(entry),
  }));
}

/** The map of one bitmap whose bits can be used. @throws {QdbError} the bitmap's first problem */
export function* readMap(index: QdbIndex, entry: BitmapEntry, digests: Digests = {}): Plan<QdbClusterMap> {
  const known = index.problems.get(entry.index);
  if (known !== undefined) throw QdbError.from(known);
  const [mapped] = yield* quietly(readMaps(index, [entry], digests));
  return usable(mapped);
}

/** The cluster map of a bitmap. @throws {QdbError} its problem, when it has one */
export function usable(mapped: MappedBitmap | undefined): QdbClusterMap {
  if (mapped?.problem !== undefined) throw QdbError.from(mapped.problem);
  if (mapped?.map === undefined) throw new QdbError("BAD_FIELD", "the bitmap has no usable L1 area");
  return mapped.map;
}

const NO_BYTES = new Uint8Array(0);

function emptyMap(
  entry: BitmapEntry,
  index: QdbIndex,
  crc32: NonNullable<Digests["crc32"]>,
): QdbClusterMap | undefined {
  // A size or granularity out of range leaves the number of entries unknown: no map then, not one of no clusters.
  if (entry.fields.size !== 0n || index.unplaced.has(entry.index)) return undefined;
  return new QdbClusterMap(entry, new L1Area(NO_BYTES, 0, index.form), 0, index.clusterSize, crc32);
}

function l1Range(entry: BitmapEntry, layout: FileLayout): { offset: number; length: number } {
  const { offset, length } = l1Reference(entry, layout);
  return { offset, length };
}

/** The bitmaps whose L1 area lies inside the file, those whose area has its place alone, and what keeps the others from it: OUT_OF_BOUNDS, OVERLAP. */
function placeAreas(
  index: QdbIndex,
  selected: readonly BitmapEntry[],
): {
  readonly inside: readonly BitmapEntry[];
  readonly placed: readonly BitmapEntry[];
  readonly problems: readonly BitmapProblem[];
} {
  const problems: BitmapProblem[] = [];
  const inside = selected.filter((entry) => {
    if (entry.fields.l1Size === 0 || index.unplaced.has(entry.index)) return false;
    return checkPlace(l1Reference(entry, index), index, (problem) => problems.push({ entry, problem }));
  });
  const extents = inside.map((entry) => clustersOf(l1Range(entry, index), index));
  const lost = overlapping([...extents, tableExtent(index)]);
  const placed = inside.filter((entry, position) => {
    if (!lost.has(position)) return true;
    const { offset } = l1Range(entry, index);
    const message = `the L1 area at ${offset} shares a cluster with another structure`;
    problems.push({ entry, problem: entryProblem(entry, "l1TableOffset", "OVERLAP", message) });
    return false;
  });
  return { inside, placed, problems };
}

function clustersOf(range: Extent, layout: FileLayout): Extent {
  return { offset: range.offset, length: Math.ceil(range.length / layout.clusterSize) * layout.clusterSize };
}

function tableExtent(index: QdbIndex): Extent {
  if (index.table.entries.length === 0) return { offset: 0, length: 0 };
  return clustersOf({ offset: fileOffset(index.header.bitmapsOffset), length: index.table.bytes.length }, index);
}

/** Whether an entry refers to a cluster (a preallocated one too) at a place where one can be. */
function ownsCluster(map: QdbClusterMap, cluster: number, layout: FileLayout): boolean {
  const offset = map.area.offset(cluster);
  return (
    offset !== 0 &&
    offset % layout.clusterSize === 0 &&
    offset >= layout.floor &&
    isInside(offset, layout.clusterSize, layout.fileSize)
  );
}

/** Which data clusters have a second owner (another entry, an L1 area, the table), and whose L1 areas are hit by one. */
function findOwners(
  index: QdbIndex,
  inside: readonly BitmapEntry[],
  maps: ReadonlyMap<BitmapEntry, QdbClusterMap>,
): { readonly isDouble: (offset: number) => boolean; readonly hit: ReadonlySet<BitmapEntry> } {
  let total = 0;
  for (const map of maps.values()) total += map.count;
  const structures = new Extents([
    ...inside.map((entry) => clustersOf(l1Range(entry, index), index)),
    tableExtent(index),
  ]);
  const offsets = new Float64Array(total);
  // Groups, not bitmaps: thousands of areas at one place, named by a million entries, are looked at once.
  const groups = new Set<number>();
  let used = 0;
  for (const map of maps.values()) {
    for (let cluster = 0; cluster < map.count; cluster++) {
      if (!ownsCluster(map, cluster, index)) continue;
      const offset = map.area.offset(cluster);
      offsets[used++] = offset;
      const group = structures.groupAt(offset);
      if (group >= 0) groups.add(group);
    }
  }
  const hit = new Set<BitmapEntry>();
  for (const group of groups) {
    for (const position of structures.positions(group)) {
      const owner = inside[position];
      if (owner !== undefined) hit.add(owner);
    }
  }
  const twice = duplicates(offsets.subarray(0, used));
  return { isDouble: (offset) => twice(offset) || structures.groupAt(offset) >= 0, hit };
}

/** The rules of an L1 area's entries, in order (spec §4). Gives RESERVED_NOT_ZERO, BAD_FIELD, MISALIGNED, OUT_OF_BOUNDS, OVERLAP. */
function* validateL1(
  map: QdbClusterMap,
  layout: FileLayout,
  doubled: (offset: number) => boolean,
): Generator<Problem, void> {
  const { area } = map;
  for (let cluster = 0; cluster < map.count; cluster++) {
    const bad = (code: Problem["code"], message: string): Problem =>
      l1Problem(code, map.label, map.areaOffset, cluster, message);
    if (area.hasReservedBits(cluster, layout.allOnes)) {
      yield bad(
        "RESERVED_NOT_ZERO",
        layout.allOnes ? "reserved bits are set" : "reserved bits are set (bit 1 needs the all-ones feature)",
      );
    }
    if (layout.allOnes && area.isContradictory(cluster)) {
      yield bad("BAD_FIELD", "it reads as ones, and bit 0 or an offset is set beside");
    }
    if (area.kind(cluster) !== "data" && (area.checksum(cluster) ?? 0) !== 0) {
      const problem = bad("BAD_FIELD", "it reads no cluster, but has a checksum");
      const offset = map.areaOffset + map.count * L1_ENTRY.size + cluster * L1_CHECKSUM.size;
      yield { ...problem, where: { ...problem.where, structure: L1_CHECKSUM.name, field: "cluster_checksum", offset } };
    }
    const offset = area.offset(cluster);
    if (offset === 0) continue;
    if (!ownsCluster(map, cluster, layout)) yield* misplaced(map, cluster, layout);
    else if (doubled(offset)) yield bad("OVERLAP", `the data cluster at ${offset} has a second owner`);
  }
}

/** What is wrong with the place that an entry gives its cluster. */
function misplaced(map: QdbClusterMap, cluster: number, layout: FileLayout): readonly Problem[] {
  const found: Problem[] = [];
  const reference = {
    offset: map.area.offset(cluster),
    length: layout.clusterSize,
    what: `the data cluster of L1 entry ${cluster}`,
    where: l1Problem("BAD_FIELD", map.label, map.areaOffset, cluster, "").where,
  };
  const tell: Report = (problem) => found.push(problem);
  // A reference that is misaligned owns nothing: it can only run past the end beside.
  const aligned = checkAligned(reference, layout, tell);
  if (aligned || !isInside(reference.offset, reference.length, layout.fileSize)) checkPlace(reference, layout, tell);
  return found;
}
