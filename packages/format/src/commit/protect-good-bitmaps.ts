import { type Problem, QdbError } from "../errors.ts";
import { MAX_FILE_OFFSET } from "../limits.ts";
import { Extents } from "../maps/cluster-owners.ts";
import { type FileState, type LoadedMaps, loadMaps, type MappedBitmap } from "../maps/load-maps.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Digests } from "../ports/digest.ts";
import { type Plan, read } from "../ports/plan.ts";
import type { BitmapChange } from "./bitmap-change.ts";
import type { FileLength } from "./free-space.ts";

/** Times that bitmaps are looked at again after some were made dirty: each time areas that shared a cluster with these count anew. */
const MAX_ROUNDS = 8;

/** What a commit is to store, and what it makes dirty on the way. */
export interface Harmless {
  readonly bitmaps: readonly BitmapChange[];
  /** What is wrong with the bitmaps that become all dirty. */
  readonly madeDirty: readonly Problem[];
}

/**
 * Keeps a commit from bringing a good bitmap into error (spec §5, Files in error). An L1 area that runs past the end lies inside a longer
 * file; what stands in an area that shares a cluster with the table, or with an area that goes, counts from then on. A damaged bitmap
 * that would own what a good one owns then becomes all dirty.
 * @throws {QdbError} OVERLAP where its entry is in an error that dirt does not mend; what is wrong with a good one that cannot be read any more
 */
export function* protectGoodBitmaps(
  { index }: FileState,
  next: readonly BitmapChange[],
  length: FileLength,
  digests: Digests,
): Plan<Harmless> {
  // The table is stored anew wherever it is, and a file becomes longer.
  const table = { ...index.table, bytes: new Uint8Array(0) };
  const after = { ...index, table, fileSize: length.fixed ? length.size : MAX_FILE_OFFSET };
  const bitmaps = [...next];
  const madeDirty: Problem[] = [];
  for (let round = 0; ; round++) {
    const kept = bitmaps.flatMap(({ from, bits, mend }, at) =>
      from === undefined || bits !== undefined || mend === "all" ? [] : [{ from, at }],
    );
    const entries = kept.map(({ from }) => from.entry);
    const maps = yield* readLonger(loadMaps(after, entries, digests), index.fileSize);
    const harm = harmOf(kept, maps);
    if (harm === undefined) return { bitmaps, madeDirty };
    // A good one that reads differently now has nothing to do with what others own.
    if (harm.code !== "OVERLAP") throw QdbError.from(harm);
    const owned = ownedBy(kept, after);
    const known = madeDirty.length;
    for (const [position, { from, at }] of kept.entries()) {
      if (from.map !== undefined || !isOwner(maps, position, from, after, owned)) continue;
      if (index.problems.isBeyondRepair(from.entry.index)) throw refusal(harm);
      bitmaps[at] = { from, mend: "all" };
      if (from.damage !== undefined) madeDirty.push(from.damage);
    }
    if (madeDirty.length === known || round === MAX_ROUNDS) throw refusal(harm);
  }
}

function refusal({ message, where }: Problem): QdbError {
  const what = `a damaged bitmap would damage a good one with this change: ${message}; remove the damaged one first`;
  return new QdbError("OVERLAP", what, where);
}

interface Kept {
  readonly from: MappedBitmap;
}

/** What would be wrong with the first good bitmap that would be in error. */
function harmOf(kept: readonly Kept[], maps: LoadedMaps): Problem | undefined {
  for (const [position, { from }] of kept.entries()) {
    const harm = from.map === undefined ? undefined : maps.damage(position, from.entry);
    if (harm !== undefined) return harm;
  }
  return undefined;
}

/** The clusters of the good bitmaps. */
function ownedBy(kept: readonly Kept[], index: QdbIndex): Extents {
  const good = kept.flatMap(({ from }) => (from.map === undefined || from.map.count === 0 ? [] : [from]));
  const total = good.reduce((sum, { map }) => sum + 1 + (map?.count ?? 0), 0);
  const offsets = new Float64Array(total);
  const lengths = new Float64Array(total);
  let used = 0;
  for (const { entry, map } of good) {
    if (map === undefined) continue;
    offsets[used] = map.areaOffset;
    lengths[used++] = l1Reference(entry, index).length;
    for (let cluster = 0; cluster < map.count; cluster++) {
      const offset = map.area.offset(cluster);
      if (offset === 0) continue;
      offsets[used] = offset;
      lengths[used++] = index.clusterSize;
    }
  }
  return new Extents(offsets, lengths, index.clusterSize);
}

/** Whether a damaged bitmap would own a cluster of a good one. */
function isOwner(
  maps: LoadedMaps,
  position: number,
  { entry }: MappedBitmap,
  index: QdbIndex,
  owned: Extents,
): boolean {
  const place = maps.place(position);
  if (place !== undefined && owned.touches(place.offset, place.length)) return true;
  const area = maps.area(position, entry)?.area;
  for (let cluster = 0; cluster < (area?.count ?? 0); cluster++) {
    const offset = area?.offset(cluster) ?? 0;
    if (offset % index.clusterSize === 0 && owned.groupAt(offset) >= 0) return true;
  }
  return false;
}

/** Runs a plan as if the file were longer: what a commit leaves unwritten behind the old end reads as zeros. What lies there whole names nothing, and is not read. */
function* readLonger<T>(plan: Plan<T>, fileSize: number): Plan<T> {
  let step = plan.next([]);
  while (step.done !== true) {
    if ("put" in step.value) throw new Error("the plan puts nothing out");
    const asked = step.value.read;
    let pieces: readonly Uint8Array[];
    try {
      if (asked.some(({ offset }) => offset >= fileSize)) throw new QdbError("SHORT_READ", "the file ends before that");
      pieces = yield* read(
        asked.map(({ offset, length }) => ({ offset, length: Math.min(length, fileSize - offset) })),
      );
    } catch (error) {
      step = plan.throw(error);
      continue;
    }
    step = plan.next(asked.map(({ length }, at) => padded(pieces[at], length)));
  }
  return step.value;
}

function padded(piece: Uint8Array | undefined, length: number): Uint8Array {
  if (piece === undefined) throw new Error("a read gave fewer pieces than ranges");
  if (piece.length === length) return piece;
  const longer = new Uint8Array(length);
  longer.set(piece);
  return longer;
}
