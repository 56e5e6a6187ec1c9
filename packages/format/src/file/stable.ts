// Reads that hold against commits that pass by meanwhile (spec §5, Readers).
import { isQdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { HEADER_AREA_SIZE } from "../limits.ts";
import { type Clock, hostClock } from "../ports/clock.ts";
import type { Digests } from "../ports/digest.ts";
import { type RunOptions, run, stream, tellReads } from "../ports/plan.ts";
import type { AnySource } from "../ports/source.ts";
import { attempts, busy, sourceChanged } from "./attempts.ts";
import type { BitOptions } from "./bits.ts";
import { type CheckSummary, checkPlan, type Finding } from "./check.ts";
import { type AreaRead, readArea } from "./open.ts";
import { type QdbIndex, readIndex } from "./qdb-index.ts";

interface StableOptions extends RunOptions {
  readonly digests?: Digests;
  readonly clock?: Clock;
}

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
  for await (const _ of attempts(options)) {
    const before = await run(readArea(0, source.size), source, options);
    await source.refresh?.();
    const summary = yield* checkOnce(source, before, options);
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
  before: AreaRead,
  options: StableOptions & Pick<BitOptions, "onProgress">,
): AsyncGenerator<Finding, CheckSummary | undefined> {
  let isRead = true;
  const { onProgress } = options;
  const plan = checkPlan(source.size, options.digests, { fixedSize: source.fixedSize, onProgress });
  const telling = tellReads(plan, () => {
    isRead = true;
  });
  const findings = stream(telling, source, options);
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
      if (!(await isUnchanged(source, before, options))) {
        if (put) throw sourceChanged();
        return undefined;
      }
      if (held.some(mayBeOfCommit) && !(await isQuiet(source, before, options))) {
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
async function isQuiet(source: AnySource, before: AreaRead, options: StableOptions): Promise<boolean> {
  const { size } = source;
  const hasWriter = await source.hasWriter?.();
  if (hasWriter === true) return false;
  // Bytes that nobody can change need no second look.
  if (hasWriter === undefined && source.refresh !== undefined) await (options.clock ?? hostClock).wait(SECOND_LOOK_MS);
  await source.refresh?.();
  return source.size === size && (await isUnchanged(source, before, options));
}

/** A summary without some of the findings in it. */
function without(summary: CheckSummary, dropped: readonly Finding[]): CheckSummary {
  const counts = { ...summary.counts };
  for (const { severity } of dropped) counts[severity]--;
  return { ...summary, counts };
}

/** Reads header and table, anew when a commit passed by. @throws {QdbError} the first error of the file (spec §7); LOCKED */
export async function openStable(source: AnySource, options: StableOptions): Promise<QdbIndex> {
  for await (const _ of attempts(options)) {
    const index = await openOnce(source, options);
    if (index !== undefined) return index;
  }
  throw busy();
}

/** One attempt of it; undefined where a commit passed by. @throws {QdbError} the first error of the file (spec §7) */
export async function openOnce(source: AnySource, options: StableOptions): Promise<QdbIndex | undefined> {
  const primary = await run(readArea(0, source.size), source, options);
  // The length after the header: what it reaches may lie behind the end that the file had when it was opened.
  await source.refresh?.();
  let result: { value: QdbIndex } | { error: unknown };
  try {
    result = { value: await run(readIndex(source.size, options.digests, primary), source, options) };
  } catch (error) {
    result = { error };
  }
  if (!(await isUnchanged(source, primary, options))) return undefined;
  if ("error" in result) throw result.error;
  return result.value;
}

/** Whether the primary is as it was read. @throws {QdbError} IO where it could be read before, and cannot be read now */
export async function isUnchanged(source: AnySource, primary: AreaRead, options: RunOptions): Promise<boolean> {
  const length = Math.min(source.size, Math.max(primary.bytes.length, HEADER_AREA_SIZE));
  const { bytes, unread } = await run(readArea(0, length), source, options);
  if (equalBytes(bytes, primary.bytes)) return true;
  // What cannot be looked at says nothing of a commit. Bytes that are gone are a change.
  if (isQdbError(unread, "IO")) throw unread;
  return false;
}
