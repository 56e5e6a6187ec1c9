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

/**
 * Maximum number of rounds in which bitmaps are made dirty and the others validated again. More than one round can be needed: when a bitmap
 * becomes all dirty, it gives up its L1 area, and an L1 area that shared a cluster with that one can become valid.
 */
const MAX_ROUNDS = 8;

/** The changes of a commit, with added changes that keep good bitmaps from becoming damaged. */
export interface SafeChanges {
  readonly changes: readonly BitmapChange[];
  /** The problems of the damaged bitmaps that the added changes make all dirty. */
  readonly madeDirty: readonly Problem[];
}

/**
 * Keeps a commit from bringing a good bitmap into error (spec §5, Files in error; such a bitmap is "read good" there).
 *
 * A commit can make the L1 area of a damaged bitmap valid: an area that ran past the end of the file can lie inside it when the file
 * becomes longer, and an area that shared a cluster with the table or with a removed L1 area can become the only owner. If the damaged
 * bitmap would then own a cluster of a good one, a change is added that makes the damaged bitmap all dirty.
 * @throws {QdbError} OVERLAP if damaged bitmaps cannot be made all dirty, or if that does not protect the good one; else the code of the
 * problem of a good bitmap whose L1 area can no longer be read
 */
export function* protectGoodBitmaps(
  { index }: FileState,
  given: readonly BitmapChange[],
  length: FileLength,
  digests: Digests,
): Plan<SafeChanges> {
  // The state after the commit: the table is stored at another place whatever changes, and the file can become longer.
  const table = { ...index.table, bytes: new Uint8Array(0) };
  const after = { ...index, table, fileSize: length.fixed ? length.size : MAX_FILE_OFFSET };
  const changes = [...given];
  const madeDirty: Problem[] = [];
  for (let round = 0; ; round++) {
    const kept = keptBitmaps(changes);
    const entries = kept.map(({ from }) => from.entry);
    const mapped = yield* readPastEnd(loadMaps(after, entries, digests), index.fileSize);
    const damage = firstDamage(kept, mapped);
    if (damage === undefined) return { changes, madeDirty };
    // A problem other than OVERLAP was not caused by another bitmap: the L1 area of the good bitmap reads differently than before.
    if (damage.code !== "OVERLAP") throw QdbError.from(damage);
    const owned = clustersOfGood(kept, after);
    const before = madeDirty.length;
    for (const [order, { from, at }] of kept.entries()) {
      if (from.map !== undefined || !ownsAny(itemAt(mapped, order), after, owned)) continue;
      if (index.problems.isBeyondRepair(from.entry.index)) throw refusal(damage);
      changes[at] = { from, repair: "all" };
      const problem = from.findDamage();
      if (problem !== undefined) madeDirty.push(problem);
    }
    if (madeDirty.length === before || round === MAX_ROUNDS) throw refusal(damage);
  }
}

function refusal({ message, where }: Problem): QdbError {
  const what = `a damaged bitmap would damage a good one with this change: ${message}; remove the damaged one first`;
  return new QdbError("OVERLAP", what, where);
}

/** A bitmap whose L1 area stays where it is in this commit. */
interface KeptBitmap {
  readonly from: MappedBitmap;
  /** Index of the bitmap's change in the list of changes. */
  readonly at: number;
}

function keptBitmaps(changes: readonly BitmapChange[]): KeptBitmap[] {
  return changes.flatMap(({ from, bits, repair }, at) =>
    from === undefined || bits !== undefined || repair === "all" ? [] : [{ from, at }],
  );
}

/** Returns the problem of the first good bitmap that would be damaged after the commit. `mapped` are the bitmaps as they would be read then. */
function firstDamage(kept: readonly KeptBitmap[], mapped: readonly MappedBitmap[]): Problem | undefined {
  for (const [order, { from }] of kept.entries()) {
    const damage = from.map === undefined ? undefined : itemAt(mapped, order).findDamage();
    if (damage !== undefined) return damage;
  }
  return undefined;
}

/** Returns the L1 areas and data clusters of the good bitmaps. */
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

/** Whether a damaged bitmap would own one of the clusters: by the place of its L1 area, or by an entry of it. */
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
 * Runs a reading plan as if the file were longer. In a range that begins inside the file, the bytes past the end are zeros, as they would
 * be after a commit that does not write them. A range that begins past the end fails with SHORT_READ: an L1 area without any byte in the
 * file refers to nothing.
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
