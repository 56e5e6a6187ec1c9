// Runs plans on one generation of a file, and starts over if a writer commits during the run (spec §5, Readers).

import { limitOf } from "../integers.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { type RunOptions, run, stream } from "../ports/drivers.ts";
import type { Plan } from "../ports/plan.ts";
import { busy, sourceChanged } from "./attempts.ts";
import type { OpenedView } from "./file-views.ts";

/** Options of calls that yield their output in parts. */
export interface StreamOptions {
  /**
   * Maximum number of bytes of output that the call holds back (default 4 MiB). As long as it has yielded nothing, the call starts over if
   * a writer commits. Once there is more output, the call yields it, and a commit ends the call with SOURCE_CHANGED. With 0, each part is
   * yielded at once.
   */
  readonly holdBytes?: number | undefined;
}

const HOLD_BYTES = 4 * 1024 * 1024;

/**
 * Runs a plan on one view after the other, until no writer has committed during the run.
 * @throws {QdbError} LOCKED if a writer commits during every run; what the plan throws
 */
export async function runWithRetry<T>(
  views: AsyncIterable<OpenedView>,
  plan: (index: QdbIndex) => Plan<T> | Promise<Plan<T>>,
  options: RunOptions,
): Promise<T> {
  for await (const { index, view } of views) {
    let result: { value: T } | { error: unknown };
    try {
      result = { value: await run(await plan(index), view.source, options) };
    } catch (error) {
      // An error counts only if the file is unchanged: bytes of two generations can cause an error.
      result = { error };
    }
    if (!(await view.isUnchanged())) continue;
    if ("error" in result) throw result.error;
    return result.value;
  }
  throw busy();
}

/**
 * Runs a plan as {@link runWithRetry} does, and yields the values that the plan puts out. `sizeOf` returns the number of bytes of a value.
 * Values that were yielded cannot be taken back, so that they are held back as long as `holdBytes` allows. `permit` is called before the
 * first value is yielded, or at the end if the plan puts out none. If `permit` throws, no value is yielded, and the call throws the error
 * once the plan has ended: an error of the plan is thrown first (QDB-ERR-025).
 * @throws {QdbError} LOCKED if a writer commits during every run; SOURCE_CHANGED if a writer commits after the first value was yielded;
 * what the plan throws; what `permit` throws
 */
export async function* streamWithRetry<T, O>(
  views: AsyncIterable<OpenedView>,
  plan: (index: QdbIndex) => Plan<T, O>,
  sizeOf: (value: O) => number,
  options: RunOptions & StreamOptions,
  permit: (index: QdbIndex) => Promise<void> = async () => undefined,
): AsyncGenerator<O, T> {
  const holdBytes = limitOf(options.holdBytes, HOLD_BYTES, "holdBytes");
  for await (const { index, view } of views) {
    let held: O[] = [];
    let bytes = 0;
    let hasLeft = false;
    let refusal: { error: unknown } | undefined;
    let result: { value: T } | { error: unknown } | undefined;
    try {
      const steps = stream(plan(index), view.source, options);
      while (result === undefined) {
        const step = await steps.next();
        if (step.done === true) {
          result = { value: step.value };
          break;
        }
        if (refusal !== undefined) continue;
        held.push(step.value);
        bytes += sizeOf(step.value);
        if (!hasLeft && bytes <= holdBytes) continue;
        // Before the first value is yielded, the call can still start over.
        if (!hasLeft && !(await view.isUnchanged())) break;
        if (!hasLeft) refusal = await refusalOf(permit, index);
        if (refusal !== undefined) {
          held = [];
          continue;
        }
        hasLeft = true;
        yield* held;
        held = [];
      }
    } catch (error) {
      result = { error };
    }
    const isGood = result !== undefined && (await view.isUnchanged());
    if (!isGood && hasLeft) throw sourceChanged();
    if (!isGood || result === undefined) continue;
    if ("error" in result) throw result.error;
    if (!hasLeft) refusal ??= await refusalOf(permit, index);
    if (refusal !== undefined) throw refusal.error;
    yield* held;
    return result.value;
  }
  throw busy();
}

/** Calls `permit`. Returns the error that it throws; undefined if it throws nothing. */
async function refusalOf(
  permit: (index: QdbIndex) => Promise<void>,
  index: QdbIndex,
): Promise<{ error: unknown } | undefined> {
  try {
    await permit(index);
    return undefined;
  } catch (error) {
    return { error };
  }
}
