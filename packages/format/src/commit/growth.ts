import type { Problem } from "../errors.ts";
import type { FileState } from "../maps/load-maps.ts";

/** Why a file becomes longer with every commit and is never cut: it has damaged bitmaps, which may own any cluster (spec §5, Files in error). */
export interface Growth {
  /** The problem of the first damaged bitmap. `where` in it names the bitmap. */
  readonly problem: Problem;
  /** Number of damaged bitmaps. */
  readonly bitmaps: number;
  /** Whether `qdb check -r` can repair all damaged bitmaps. If not, the others have to be removed before the file can be cut. */
  readonly repairable: boolean;
}

/** Returns why a file becomes longer with every commit; undefined if no bitmap is damaged. */
export function growthOf({ index, mapped }: FileState): Growth | undefined {
  let first: Problem | undefined;
  let bitmaps = 0;
  let repairable = true;
  for (const bitmap of mapped) {
    if (bitmap.map !== undefined) continue;
    first ??= bitmap.findDamage();
    bitmaps++;
    if (index.problems.isBeyondRepair(bitmap.entry.index)) repairable = false;
  }
  return first === undefined ? undefined : { problem: first, bitmaps, repairable };
}
