import type { Problem } from "../errors.ts";
import type { FileState } from "../maps/load-maps.ts";

/** Why a file grows with every commit and is never cut: it has damaged bitmaps, which may own any part of it (spec §5, Files in error). */
export interface Growth {
  /** The problem of the first damaged bitmap; `where` names the bitmap. */
  readonly problem: Problem;
  /** Number of damaged bitmaps. */
  readonly bitmaps: number;
  /** Whether `qdb check -r` repairs all of them. If not, those that it leaves have to be removed. */
  readonly repairable: boolean;
}

/** Why a file grows with every commit; undefined if it does not. */
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
