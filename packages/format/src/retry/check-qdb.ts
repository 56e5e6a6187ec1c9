// Checks a file, and starts over if a writer commits during the check (spec §5, Readers).

import type { BitOptions } from "../bits/read-bits.ts";
import { type CheckSummary, checkPlan } from "../check/check.ts";
import type { Finding } from "../check/findings.ts";
import { hostClock } from "../ports/clock.ts";
import { drive } from "../ports/drivers.ts";
import { mapPut, nextPut } from "../ports/plan.ts";
import type { AnySource } from "../ports/source.ts";
import { ASYNC, putAll, streamTask, type Task, wait } from "../ports/task.ts";
import { busy, sourceChanged } from "./attempts.ts";
import { type FileView, FileViews, isPrimaryUnchanged, type RetryOptions } from "./file-views.ts";

/** Options of {@link checkQdb}. */
export type CheckOptions = RetryOptions & Pick<BitOptions, "onProgress">;

/**
 * Maximum number of findings that are held back until the primary is read again. It is multiplied by four each time, so that the primary is
 * seldom read. Memory stays bounded (spec §7.4), since a finding of a data cluster takes less memory than the bytes that were read for it.
 */
const HELD_FINDINGS = 1024;

/**
 * Checks every rule of a file and yields every finding. Errors of the file are findings too, except for those that are thrown because they
 * keep the file from being checked. No bits are given out, so that no hook is asked. It starts over if a writer commits before the first
 * finding is yielded. The caller closes the source.
 * @throws {QdbError} BAD_MAGIC, UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE, IO, SHORT_READ as {@link checkPlan} does; ABORTED if the signal
 * is aborted; LOCKED if a writer commits during every attempt; SOURCE_CHANGED if a writer commits after the first finding is yielded
 * @example
 * for await (const { severity, code, message } of checkQdb(bytesSource(bytes))) console.log(severity, code, message);
 */
export function checkQdb(source: AnySource, options: CheckOptions = {}): AsyncGenerator<Finding, CheckSummary> {
  return streamTask(checkTask(source, options));
}

function* checkTask(source: AnySource, options: CheckOptions): Task<CheckSummary, Finding> {
  const views = new FileViews(ASYNC, source, options);
  for (let view = yield* views.next(); view !== undefined; view = yield* views.next()) {
    const summary = yield* checkOnce(source, view, options);
    if (summary !== undefined) return summary;
  }
  throw busy();
}

/**
 * Makes one attempt to check a file. Returns undefined if a writer commits before the first finding is yielded. A finding can be the effect
 * of a commit, so that it is held until the primary was read again and is unchanged. Findings that follow without another read of the file
 * are yielded at once: an L1 area can have a million findings, too many to hold.
 */
function* checkOnce(source: AnySource, view: FileView, options: CheckOptions): Task<CheckSummary | undefined, Finding> {
  let isRead = true;
  const { onProgress } = options;
  const { fixedSize, size } = view.source;
  const plan = checkPlan(size, options.digests, { fixedSize, onProgress, primary: view.primary });
  const watched = mapPut(
    plan,
    (found) => found,
    () => {
      isRead = true;
    },
  );
  const findings = drive(watched, view.source, options, ASYNC);
  let end: { value: CheckSummary } | { error: unknown } | undefined;
  let held: Finding[] = [];
  let maxHeld = HELD_FINDINGS;
  let hasLeft = false;
  const dropped: Finding[] = [];
  for (;;) {
    try {
      const step = yield* nextPut(findings);
      if (step.done === true) end = { value: step.value };
      else held.push(step.value);
    } catch (error) {
      end = { error };
    }
    if (isRead || end !== undefined) {
      if (end === undefined && held.length < maxHeld) continue;
      if (!(yield* view.isUnchanged())) {
        if (hasLeft) throw sourceChanged();
        return undefined;
      }
      if (held.some(mayBeOfCommit) && !(yield* isQuiet(source, view, size, options))) {
        dropped.push(...held.filter(mayBeOfCommit));
        held = held.filter((found) => !mayBeOfCommit(found));
      }
      isRead = false;
      maxHeld *= 4;
    }
    hasLeft ||= held.length > 0;
    yield* putAll(held);
    held = [];
    if (end === undefined) continue;
    if ("error" in end) throw end.error;
    return without(end.value, dropped);
  }
}

/**
 * Whether an unfinished commit can cause a finding: a commit writes past the end of the file, and it writes the mirror before the primary.
 */
function mayBeOfCommit({ code }: Finding): boolean {
  return code === "LEAK" || code === "MIRROR";
}

/** How long a file must stay unchanged, in milliseconds, if the source cannot tell whether a writer holds the lock. */
const SECOND_LOOK_MS = 200;

/**
 * Whether no commit was in progress when the file was checked (spec §7.3): no writer holds the lock now, and the file has the length and
 * the primary that it had then.
 */
function* isQuiet(source: AnySource, { primary }: FileView, size: number, options: RetryOptions): Task<boolean> {
  const hasWriter = yield* wait(source.hasWriter?.());
  if (hasWriter === true) return false;
  if (hasWriter === undefined && source.immutable !== true)
    yield* wait(ASYNC.pause(options.clock ?? hostClock, SECOND_LOOK_MS));
  yield* wait(source.refresh?.());
  return source.size === size && (yield* isPrimaryUnchanged(ASYNC, source, primary, options));
}

/** Returns a summary in which the findings in `dropped` are not counted. */
function without(summary: CheckSummary, dropped: readonly Finding[]): CheckSummary {
  const counts = { ...summary.counts };
  for (const { severity } of dropped) counts[severity]--;
  return { ...summary, counts };
}
