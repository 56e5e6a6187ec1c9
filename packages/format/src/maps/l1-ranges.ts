import { fileOffset } from "../layout/numbers.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import { checkPlace } from "../open/geometry.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { ByteRange } from "../ports/source.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { OwnedRanges } from "./owned-ranges.ts";

/** Whether a table entry gives a valid length and a valid offset for an L1 area. The L1 area may still be past the end of the file. */
export function hasArea(entry: BitmapEntry, index: QdbIndex): boolean {
  return !index.problems.isUnplaced(entry.index) && entry.l1Size !== 0;
}

/** Whether a table entry gives a valid length for an L1 area. The offset may break a rule. */
export function hasLength(entry: BitmapEntry, index: QdbIndex): boolean {
  return !index.problems.isUnsized(entry.index) && entry.l1Size !== 0;
}

/**
 * Returns the range of a bitmap's L1 area; undefined if there is no L1 area, or if it is not inside the file and past header and mirror.
 */
export function l1Range(entry: BitmapEntry, index: QdbIndex): ByteRange | undefined {
  if (!hasArea(entry, index)) return undefined;
  const reference = l1Reference(entry, index);
  return checkPlace(reference, index, () => undefined) ? reference : undefined;
}

/**
 * Returns the ranges of the L1 areas of `entries`, in their order, and after them the range of the bitmap table. If an entry has no L1
 * area, or the L1 area has no valid range, the range has length 0.
 */
export function l1Ranges(entries: readonly BitmapEntry[], index: QdbIndex): OwnedRanges {
  const { header, table, clusterSize } = index;
  const offsets = new Float64Array(entries.length + 1);
  const lengths = new Float64Array(entries.length + 1);
  for (const [at, entry] of entries.entries()) {
    const range = l1Range(entry, index);
    if (range === undefined) continue;
    offsets[at] = range.offset;
    lengths[at] = range.length;
  }
  if (table.entries.length > 0) {
    offsets[entries.length] = fileOffset(header.bitmapsOffset);
    lengths[entries.length] = table.bytes.length;
  }
  return new OwnedRanges(offsets, lengths, clusterSize);
}
