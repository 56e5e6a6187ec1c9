import { fileOffset } from "../layout/numbers.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import { checkPlace } from "../open/geometry.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { Extents } from "./cluster-owners.ts";

/** Where the L1 areas of some bitmaps are, those that lie inside the file, and what shares a cluster there. Places are those in the list. */
export class L1Places {
  /** File offsets, and lengths in bytes: 0 for a bitmap that has no L1 area, or one without a place. The table stands behind the bitmaps. */
  readonly offsets: Float64Array;
  readonly lengths: Float64Array;
  readonly extents: Extents;

  constructor(index: QdbIndex, selected: readonly BitmapEntry[]) {
    const { header, table, clusterSize } = index;
    this.offsets = new Float64Array(selected.length + 1);
    this.lengths = new Float64Array(selected.length + 1);
    for (const [position, entry] of selected.entries()) {
      if (!hasArea(entry, index)) continue;
      const reference = l1Reference(entry, index);
      let isInside = true;
      checkPlace(reference, index, () => {
        isInside = false;
      });
      if (!isInside) continue;
      this.offsets[position] = reference.offset;
      this.lengths[position] = reference.length;
    }
    if (table.entries.length > 0) {
      this.offsets[selected.length] = fileOffset(header.bitmapsOffset);
      this.lengths[selected.length] = table.bytes.length;
    }
    this.extents = new Extents(this.offsets, this.lengths, clusterSize);
  }

  /** Whether there is an L1 area that lies inside the file, behind header and mirror. */
  isInside(position: number): boolean {
    return this.lengths[position] !== 0;
  }

  /** Whether it also has its clusters alone. */
  isAlone(position: number): boolean {
    return this.isInside(position) && !this.extents.isShared(position);
  }
}

/** Whether a bitmap has an L1 area of known length and place. */
export function hasArea(entry: BitmapEntry, index: QdbIndex): boolean {
  return !index.problems.isUnplaced(entry.index) && entry.l1Size !== 0;
}

/** Whether a bitmap has an L1 area of known length, wherever it lies. */
export function hasLength(entry: BitmapEntry, index: QdbIndex): boolean {
  return !index.problems.isUnsized(entry.index) && entry.l1Size !== 0;
}
