// Checks a file, and starts over when a writer commits meanwhile (spec §5, Readers).

import type { BitOptions } from "../bits/read-bits.ts";
import { type CheckSummary, checkPlan, type Finding } from "../check/check.ts";
import { hostClock } from "../ports/clock.ts";
import { stream } from "../ports/drivers.ts";
import { mapPut } from "../ports/plan.ts";
import type { AnySource } from "../ports/source.ts";
import { busy, sourceChanged } from "./attempts.ts";
import { type FileView, fileViews, isPrimaryUnchanged, type RetryOptions } from "./file-views.ts";

/**
 * Findings are held back until the primary was read again: at first this many, then four times as many each time, so that the primary is
 * seldom read. Memory stays bounded (spec §7.4): a finding of a data cluster takes less of it than the bytes that were read for it.
 */
const HELD_FINDINGS = 1024;

/** Checks a file, again when a writer committed before the first finding left. @throws {QdbError} IO, ABORTED, LOCKED, SOURCE_CHANGED */
export async function* checkWithRetry(
  source: AnySource,
  options: RetryOptions & Pick<BitOptions, "onProgress">,
): AsyncGenerator<Finding, CheckSummary> {
  for await (const view of fileViews(source, options)) {
    const summary = yield* checkOnce(source, view, options);
    if (summary !== undefined) return summary;
  }
  throw busy();
}

/**
 * Makes one attempt; returns undefined if a writer committed before the first finding left. A finding can be the effect of a commit, so
 * that it leaves only after the primary was read again. Findings that follow without another read of the file leave at once: an L1 area
 * can have a million of them, which must not be held.
 */
async function* checkOnce(
  source: AnySource,
  view: FileView,
  options: RetryOptions & Pick<BitOptions, "onProgress">,
): AsyncGenerator<Finding, CheckSummary | undefined> {
  let isRead = true;
  const { onProgress } = options;
  const { fixedSize, size } = view.source;
  const plan = checkPlan(size, options.digests, { fixedSize, onProgress });
  const watched = mapPut(
    plan,
    (found) => found,
    () => {
      isRead = true;
    },
  );
  const findings = stream(watched, view.source, options);
  let end: { value: CheckSummary } | { error: unknown } | undefined;
  let held: Finding[] = [];
  let most = HELD_FINDINGS;
  let hasLeft = false;
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
      if (!(await view.isUnchanged())) {
        if (hasLeft) throw sourceChanged();
        return undefined;
      }
      if (held.some(mayBeOfCommit) && !(await isQuiet(source, view, size, options))) {
        dropped.push(...held.filter(mayBeOfCommit));
        held = held.filter((found) => !mayBeOfCommit(found));
      }
      isRead = false;
      most *= 4;
    }
    hasLeft ||= held.length > 0;
    yield* held;
    held = [];
    if (end === undefined) continue;
    if ("error" in end) throw end.error;
    return without(end.value, dropped);
  }
}

/** Whether a commit that is not finished would cause the same finding: it writes behind the end, and to the mirror before the primary. */
function mayBeOfCommit({ code }: Finding): boolean {
  return code === "LEAK" || code === "MIRROR";
}

/** How long a file must stay unchanged, in milliseconds, where it is not known whether a writer has it. */
const SECOND_LOOK_MS = 200;

/**
 * Whether no commit was under way when the file was checked (spec §7.3): there is no writer now, and the primary is unchanged, so that no
 * commit followed what was written.
 */
async function isQuiet(
  source: AnySource,
  { primary }: FileView,
  size: number,
  options: RetryOptions,
): Promise<boolean> {
  const hasWriter = await source.hasWriter?.();
  if (hasWriter === true) return false;
  // Bytes in memory cannot change.
  if (hasWriter === undefined && source.refresh !== undefined) await (options.clock ?? hostClock).wait(SECOND_LOOK_MS);
  await source.refresh?.();
  return source.size === size && (await isPrimaryUnchanged(source, primary, options));
}

/** A summary that does not count some of its findings. */
function without(summary: CheckSummary, dropped: readonly Finding[]): CheckSummary {
  const counts = { ...summary.counts };
  for (const { severity } of dropped) counts[severity]--;
  return { ...summary, counts };
}
