import type { Problem } from "../errors.ts";
import type { FileState } from "../maps/load-maps.ts";

/** Why a file grows with every commit and is never cut: a bitmap of it was not read good (spec §5, Files in error). */
export interface Growth {
  /** What is wrong with the first such bitmap; `where` names it. */
  readonly problem: Problem;
  /** Number of such bitmaps. */
  readonly bitmaps: number;
  /** Whether `qdb check -r` puts all of them right; where not, those that it leaves have to be removed. */
  readonly repairable: boolean;
}

/** Why a file grows with every commit; undefined when it does not. */
export function growthOf({ index, mapped }: FileState): Growth | undefined {
  let growth: Growth | undefined;
  for (const { entry, map, damage, problem } of mapped) {
    const why = damage ?? problem;
    if (map !== undefined || why === undefined) continue;
    const repairable = growth?.repairable !== false && !index.problems.isBeyondRepair(entry.index);
    growth = { problem: growth?.problem ?? why, bitmaps: (growth?.bitmaps ?? 0) + 1, repairable };
  }
  return growth;
}
