// Reads that hold against commits that pass by meanwhile (spec §5, Readers).

import type { BitOptions } from "../bits/read-bits.ts";
import { type CheckSummary, checkPlan, type Finding } from "../check/check.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { hostClock } from "../ports/clock.ts";
import { stream } from "../ports/drivers.ts";
import { mapPut } from "../ports/plan.ts";
import type { AnySource } from "../ports/source.ts";
import { busy, sourceChanged } from "./attempts.ts";
import { isUnchanged, openView, type StableOptions, type View, views } from "./views.ts";

/**
 * Findings held back, to begin with, until the primary was read again; four times as many each time, so that this is seldom done.
 * Of those that come after reads of data, each has cost more bytes read than it takes itself, so what is held is bounded (spec §7.4).
 */
const HELD_FINDINGS = 1024;

/** Checks a file, anew when a commit passed by before the first finding left. @throws {QdbError} IO, ABORTED, LOCKED, SOURCE_CHANGED */
export async function* checkStable(
  source: AnySource,
  options: StableOptions & Pick<BitOptions, "onProgress">,
): AsyncGenerator<Finding, CheckSummary> {
  for await (const view of views(source, options)) {
    const summary = yield* checkOnce(source, view, options);
    if (summary !== undefined) return summary;
  }
  throw busy();
}

/**
 * One attempt; gives nothing where a commit passed by. Nothing is reported before the primary was read again: a finding may only be
 * such a commit. What is found without another read since needs no such look: a million bad entries of one L1 area are held nowhere.
 */
async function* checkOnce(
  source: AnySource,
  view: View,
  options: StableOptions & Pick<BitOptions, "onProgress">,
): AsyncGenerator<Finding, CheckSummary | undefined> {
  let isRead = true;
  const { onProgress } = options;
  const { fixedSize, size } = view.source;
  const plan = checkPlan(size, options.digests, { fixedSize, onProgress });
  const telling = mapPut(
    plan,
    (found) => found,
    () => {
      isRead = true;
    },
  );
  const findings = stream(telling, view.source, options);
  let end: { value: CheckSummary } | { error: unknown } | undefined;
  let held: Finding[] = [];
  let most = HELD_FINDINGS;
  let put = false;
  const dropped: Finding[] = [];
  for (;;) {
    try {
      const step = await findings.next();
      if (step.done === true) end = { value: step.value };
      else held.push(step.value);
    } catch (error) {
      end = { error };
    }
    if (isRead || end !== undefined) {
      if (end === undefined && held.length < most) continue;
      if (!(await view.isStill())) {
        if (put) throw sourceChanged();
        return undefined;
      }
      if (held.some(mayBeOfCommit) && !(await isQuiet(source, view, size, options))) {
        dropped.push(...held.filter(mayBeOfCommit));
        held = held.filter((found) => !mayBeOfCommit(found));
      }
      isRead = false;
      most *= 4;
    }
    put ||= held.length > 0;
    yield* held;
    held = [];
    if (end === undefined) continue;
    if ("error" in end) throw end.error;
    return without(end.value, dropped);
  }
}

/** Whether a finding is what a commit in flight looks like too: it writes behind the end, and to the mirror before the primary. */
function mayBeOfCommit({ code }: Finding): boolean {
  return code === "LEAK" || code === "MIRROR";
}

/** How long a file must stay as it is, in ms, where nobody tells whether a writer has it. */
const SECOND_LOOK_MS = 200;

/**
 * Whether no commit was in flight when the file was checked (spec §7.3). No writer now, and the primary as it was: whatever was
 * written before, no commit is to follow it.
 */
async function isQuiet(source: AnySource, { primary }: View, size: number, options: StableOptions): Promise<boolean> {
  const hasWriter = await source.hasWriter?.();
  if (hasWriter === true) return false;
  // Bytes that nobody can change need no second look.
  if (hasWriter === undefined && source.refresh !== undefined) await (options.clock ?? hostClock).wait(SECOND_LOOK_MS);
  await source.refresh?.();
  return source.size === size && (await isUnchanged(source, primary, options));
}

/** A summary without some of the findings in it. */
function without(summary: CheckSummary, dropped: readonly Finding[]): CheckSummary {
  const counts = { ...summary.counts };
  for (const { severity } of dropped) counts[severity]--;
  return { ...summary, counts };
}

/** Reads header and table, anew when a commit passed by. @throws {QdbError} the first error of the file (spec §7); LOCKED */
export async function openStable(source: AnySource, options: StableOptions): Promise<QdbIndex> {
  for await (const view of views(source, options)) {
    const index = await openView(view, options);
    if (index !== undefined) return index;
  }
  throw busy();
}
