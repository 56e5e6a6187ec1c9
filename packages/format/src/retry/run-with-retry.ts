// Runs plans on one state of a file, and starts over when a writer commits meanwhile (spec §5, Readers).

import type { QdbIndex } from "../open/qdb-index.ts";
import { type RunOptions, run, stream } from "../ports/drivers.ts";
import type { Plan } from "../ports/plan.ts";
import { busy, sourceChanged } from "./attempts.ts";
import type { OpenedView } from "./file-views.ts";

/** Options of calls that put out piece by piece. */
export interface StreamOptions {
  /**
   * Bytes of output that are held back, 4 MiB unless given. Until more has come together, no output has left, and a commit of a writer
   * makes the call start over. Afterwards a commit ends the call with SOURCE_CHANGED. With 0 each piece leaves at once.
   */
  readonly holdBytes?: number | undefined;
}

const HOLD_BYTES = 4 * 1024 * 1024;

/** Runs a plan on each view until no writer has committed meanwhile. @throws {QdbError} LOCKED, and what the plan throws */
export async function runWithRetry<T>(
  views: AsyncIterable<OpenedView>,
  plan: (index: QdbIndex) => Plan<T>,
  options: RunOptions,
): Promise<T> {
  for await (const { index, view } of views) {
    let result: { value: T } | { error: unknown };
    try {
      result = { value: await run(plan(index), view.source, options) };
    } catch (error) {
      // Bytes of two states can cause an error. It counts only if the file is unchanged.
      result = { error };
    }
    if (!(await view.isUnchanged())) continue;
    if ("error" in result) throw result.error;
    return result.value;
  }
  throw busy();
}

/**
 * Runs a plan that puts out values of `sizeOf` bytes each, as {@link runWithRetry} does. Values that have left cannot be taken back, so
 * they are held as long as `holdBytes` allows.
 * @throws {QdbError} LOCKED, SOURCE_CHANGED, and what the plan throws
 */
export async function* streamWithRetry<T, O>(
  views: AsyncIterable<OpenedView>,
  plan: (index: QdbIndex) => Plan<T, O>,
  sizeOf: (value: O) => number,
  options: RunOptions & StreamOptions,
): AsyncGenerator<O, T> {
  const { holdBytes = HOLD_BYTES } = options;
  for await (const { index, view } of views) {
    let held: O[] = [];
    let bytes = 0;
    let hasLeft = false;
    let result: { value: T } | { error: unknown } | undefined;
    try {
      const steps = stream(plan(index), view.source, options);
      while (result === undefined) {
        const step = await steps.next();
        if (step.done === true) {
          result = { value: step.value };
          break;
        }
        held.push(step.value);
        bytes += sizeOf(step.value);
        if (!hasLeft && bytes <= holdBytes) continue;
        // Before the first output leaves, a commit costs only another attempt.
        if (!hasLeft && !(await view.isUnchanged())) break;
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
    yield* held;
    return result.value;
  }
  throw busy();
}
