import { itemAt } from "../elements.ts";
import { type Problem, QdbError } from "../errors.ts";
import { MAX_FILE_OFFSET } from "../limits.ts";
import { l1Range } from "../maps/l1-ranges.ts";
import { type FileState, loadMaps } from "../maps/load-maps.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import { OwnedRanges } from "../maps/owned-ranges.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Digests } from "../ports/digest.ts";
import { type Plan, pieceAt, read } from "../ports/plan.ts";
import type { BitmapChange } from "./bitmap-change.ts";
import type { FileLength } from "./free-space.ts";

/** Most times that bitmaps are made dirty and the others judged again: each time L1 areas that shared a cluster with these become valid. */
const MAX_ROUNDS = 8;

/** The changes of a commit, with those added that keep good bitmaps good. */
export interface SafeChanges {
  readonly changes: readonly BitmapChange[];
  /** The problems of the bitmaps that were added: they become all dirty. */
  readonly madeDirty: readonly Problem[];
}

/**
 * Keeps a commit from bringing a good bitmap into error (spec §5, Files in error). A commit can make a damaged bitmap valid: its L1
 * area runs past the end, and the file becomes longer, or shares a cluster with the table or with an L1 area that is removed. If such
 * a bitmap then owned a cluster of a good one, it becomes all dirty.
 * @throws {QdbError} OVERLAP if the damaged bitmap is beyond repair; the problem of a good bitmap that can no longer be read
 */
export function* protectGoodBitmaps(
  { index }: FileState,
  given: readonly BitmapChange[],
  length: FileLength,
  digests: Digests,
): Plan<SafeChanges> {
  // The table is stored elsewhere, whatever changes, and a file can become longer.
  const table = { ...index.table, bytes: new Uint8Array(0) };
  const after = { ...index, table, fileSize: length.fixed ? length.size : MAX_FILE_OFFSET };
  const changes = [...given];
  const madeDirty: Problem[] = [];
  for (let round = 0; ; round++) {
    const kept = keptBitmaps(changes);
    const entries = kept.map(({ from }) => from.entry);
    const mapped = yield* readPastEnd(loadMaps(after, entries, digests), index.fileSize);
    const harm = firstHarm(kept, mapped);
    if (harm === undefined) return { changes, madeDirty };
    // A good bitmap that reads differently now was not harmed by another bitmap.
    if (harm.code !== "OVERLAP") throw QdbError.from(harm);
    const owned = clustersOfGood(kept, after);
    const known = madeDirty.length;
    for (const [order, { from, at }] of kept.entries()) {
      if (from.map !== undefined || !ownsAny(itemAt(mapped, order), after, owned)) continue;
      if (index.problems.isBeyondRepair(from.entry.index)) throw refusal(harm);
      changes[at] = { from, repair: "all" };
      const damage = from.findDamage();
      if (damage !== undefined) madeDirty.push(damage);
    }
    if (madeDirty.length === known || round === MAX_ROUNDS) throw refusal(harm);
  }
}

function refusal({ message, where }: Problem): QdbError {
  const what = `a damaged bitmap would damage a good one with this change: ${message}; remove the damaged one first`;
  return new QdbError("OVERLAP", what, where);
}

/** A bitmap whose L1 area stays where it is. */
interface KeptBitmap {
  readonly from: MappedBitmap;
  /** Index of its change. */
  readonly at: number;
}

function keptBitmaps(changes: readonly BitmapChange[]): KeptBitmap[] {
  return changes.flatMap(({ from, bits, repair }, at) =>
    from === undefined || bits !== undefined || repair === "all" ? [] : [{ from, at }],
  );
}

/** The problem of the first good bitmap that would be in error after the commit. */
function firstHarm(kept: readonly KeptBitmap[], mapped: readonly MappedBitmap[]): Problem | undefined {
  for (const [order, { from }] of kept.entries()) {
    const harm = from.map === undefined ? undefined : itemAt(mapped, order).findDamage();
    if (harm !== undefined) return harm;
  }
  return undefined;
}

/** L1 areas and data clusters of the good bitmaps. */
function clustersOfGood(kept: readonly KeptBitmap[], index: QdbIndex): OwnedRanges {
  const good = kept.flatMap(({ from: { entry, map } }) =>
    map === undefined || map.count === 0 ? [] : [{ entry, map }],
  );
  const total = good.reduce((sum, { map }) => sum + 1 + map.count, 0);
  const offsets = new Float64Array(total);
  const lengths = new Float64Array(total);
  let length = 0;
  for (const { entry, map } of good) {
    offsets[length] = map.areaOffset;
    lengths[length++] = l1Reference(entry, index).length;
    for (let cluster = 0; cluster < map.count; cluster++) {
      const offset = map.offset(cluster);
      if (offset === 0) continue;
      offsets[length] = offset;
      lengths[length++] = index.clusterSize;
    }
  }
  return new OwnedRanges(offsets, lengths, index.clusterSize);
}

/** Whether a damaged bitmap would own one of the clusters. */
function ownsAny({ entry, area }: MappedBitmap, index: QdbIndex, clusters: OwnedRanges): boolean {
  const range = l1Range(entry, index);
  if (range !== undefined && clusters.overlaps(range.offset, range.length)) return true;
  if (area === undefined) return false;
  for (let cluster = 0; cluster < area.count; cluster++) {
    const offset = area.offset(cluster);
    if (offset % index.clusterSize === 0 && clusters.groupAt(offset) >= 0) return true;
  }
  return false;
}

/**
 * Runs a reading plan as if the file were longer. Bytes behind the end read as zeros, as they will after a commit that leaves them
 * unwritten. A range that begins behind the end is a short read: what is not in the file at all refers to nothing.
 */
function* readPastEnd<T>(plan: Plan<T>, fileSize: number): Plan<T> {
  let step = plan.next([]);
  while (step.done !== true) {
    if ("put" in step.value) throw new Error("the plan puts nothing out");
    const ranges = step.value.read;
    let pieces: readonly Uint8Array[];
    try {
      if (ranges.some(({ offset }) => offset >= fileSize))
        throw new QdbError("SHORT_READ", "the file ends before that");
      pieces = yield* read(
        ranges.map(({ offset, length }) => ({ offset, length: Math.min(length, fileSize - offset) })),
      );
    } catch (error) {
      step = plan.throw(error);
      continue;
    }
    step = plan.next(ranges.map(({ length }, index) => withZeros(pieceAt(pieces, index), length)));
  }
  return step.value;
}

function withZeros(piece: Uint8Array, length: number): Uint8Array {
  if (piece.length === length) return piece;
  const longer = new Uint8Array(length);
  longer.set(piece);
  return longer;
}
