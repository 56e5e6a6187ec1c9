import { type CommitReport, type Problem, quote } from "@qdb/format";
import type { Growth } from "@qdb/format/container";
import { warn } from "../shell/output.ts";

/** Maximum number of bitmaps that are named one by one. */
const MOST_NAMED = 8;

/** Warns of bitmaps that the commit made all dirty, and of a file that grows with each commit. */
export function warnOfDamage(path: string, { madeDirty, growth }: CommitReport): void {
  for (const problem of madeDirty.slice(0, MOST_NAMED)) {
    warn(`nothing told which bits of ${named(problem)} were right, so that all of it is dirty now`);
  }
  const more = madeDirty.length - MOST_NAMED;
  if (more > 0) warn(`${more} more damaged bitmaps of the draft are all dirty now`);
  warnOfGrowth(path, growth);
}

/** Warns of bitmaps of an image that the commit made all dirty. `why` follows the name of the bitmap. */
export function warnOfDoubt(madeDirty: readonly Problem[], why: string): void {
  for (const problem of madeDirty.slice(0, MOST_NAMED)) warn(`${named(problem)} ${why}`);
  const more = madeDirty.length - MOST_NAMED;
  if (more > 0) warn(`${more} more bitmaps are all dirty now for such a reason`);
}

/** Warns that a file grows with every commit, and says how to stop it. */
export function warnOfGrowth(path: string, growth: Growth | undefined): void {
  if (growth === undefined) return;
  const { problem, bitmaps, repairable } = growth;
  const which =
    bitmaps === 1 ? `${named(problem)} is damaged` : `${bitmaps} bitmaps are damaged, first ${named(problem)}`;
  const whole = bitmaps === 1 ? "it" : "each";
  const end = repairable
    ? `qdb check -r, or qdb bitmap --remove or --mark-all of ${whole}, ends that`
    : `qdb bitmap --remove of what qdb check -r cannot repair ends that`;
  warn(`${quote(path)} grows with every change and is not cut while ${which}; ${end}`);
}

function named({ code, where: { bitmap } }: Problem): string {
  return bitmap === undefined ? `a bitmap (${code})` : `bitmap ${quote(bitmap)} (${code})`;
}
