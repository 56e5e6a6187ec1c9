// Plans that are run on one state of a file, whatever a writer does meanwhile (spec §5, Readers).

import type { QdbIndex } from "../open/qdb-index.ts";
import { type RunOptions, run, stream } from "../ports/drivers.ts";
import type { Plan } from "../ports/plan.ts";
import { busy, sourceChanged } from "./attempts.ts";
import type { View } from "./views.ts";

/** A state of a file, and where it can be read. */
export interface State {
  readonly index: QdbIndex;
  readonly view: View;
}

/** What a call takes that puts out piece by piece. */
export interface StreamOptions {
  /**
   * Bytes of output that are held back, 4 MiB unless given. While no more has come together nothing has left, and a commit of a writer
   * only makes the call start over; afterwards it ends with SOURCE_CHANGED. With 0 each piece leaves at once.
   */
  readonly holdBytes?: number | undefined;
}

const HOLD_BYTES = 4 * 1024 * 1024;

/** Runs a plan on a state that stays until it is through. @throws {QdbError} LOCKED, and what the plan throws */
export async function runOnState<T>(
  states: AsyncIterable<State>,
  plan: (index: QdbIndex) => Plan<T>,
  options: RunOptions,
): Promise<T> {
  for await (const { index, view } of states) {
    let result: { value: T } | { error: unknown };
    try {
      result = { value: await run(plan(index), view.source, options) };
    } catch (error) {
      result = { error };
    }
    if (!(await view.isStill())) continue;
    if ("error" in result) throw result.error;
    return result.value;
  }
  throw busy();
}

/**
 * The same for a plan that puts out, each piece so many bytes: what has left cannot be taken back, so it is held as long as that can be.
 * @throws {QdbError} LOCKED, SOURCE_CHANGED, and what the plan throws
 */
export async function* streamState<T, O>(
  states: AsyncIterable<State>,
  plan: (index: QdbIndex) => Plan<T, O>,
  sizeOf: (piece: O) => number,
  options: RunOptions & StreamOptions,
): AsyncGenerator<O, T> {
  const { holdBytes = HOLD_BYTES } = options;
  for await (const { index, view } of states) {
    let held: O[] = [];
    let bytes = 0;
    let put = false;
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
        if (!put && bytes <= holdBytes) continue;
        // A commit since the file was opened shows before the first output leaves, and then only costs another attempt.
        if (!put && !(await view.isStill())) break;
        put = true;
        yield* held;
        held = [];
      }
    } catch (error) {
      result = { error };
    }
    const isGood = result !== undefined && (await view.isStill());
    if (!isGood && put) throw sourceChanged();
    if (!isGood || result === undefined) continue;
    if ("error" in result) throw result.error;
    yield* held;
    return result.value;
  }
  throw busy();
}
