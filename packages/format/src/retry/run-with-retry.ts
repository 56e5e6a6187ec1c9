// Runs plans on one state of a file, and starts over if the file changes during the run (spec §5, Readers).

import { limitOf } from "../integers.ts";
import { drive, type RunOptions } from "../ports/drivers.ts";
import { nextPut, type Plan } from "../ports/plan.ts";
import type { AnySource } from "../ports/source.ts";
import { putAll, type Task, type Timing, wait } from "../ports/task.ts";
import { busy, sourceChanged } from "./attempts.ts";

/** Options of calls that yield their output in parts. */
export interface StreamOptions {
  /**
   * Maximum number of bytes that the call holds back: of text (4 MiB by default), or of bits in which it has not yet looked for extents
   * (256 KiB by default). As long as it has yielded nothing, the call starts over if a writer commits. Once there is more, the call yields it,
   * and a commit ends the call with SOURCE_CHANGED. With 0, each part is yielded at once.
   */
  readonly holdBytes?: number | undefined;
}

const HOLD_BYTES = 4 * 1024 * 1024;

/** A file as one attempt reads it, with the index that was read from it: what the file says of its bitmaps, apart from their bits. */
export interface IndexedView<I> {
  readonly index: I;
  readonly view: {
    readonly source: AnySource;
    /** Returns whether the file has not changed since the index was read. `error` is what the run on this view threw, if it did. */
    readonly isUnchanged: (error?: unknown) => Task<boolean>;
  };
}

/** The views of a file, one for each attempt. `I` is the type of the index, which depends on the container. */
export interface IndexedViews<I> {
  readonly timing: Timing;
  /** Returns the view of the next attempt; undefined if there is none. */
  next(): Task<IndexedView<I> | undefined>;
}

/**
 * Runs a plan on one view after the other, until no writer has committed during the run.
 * @throws {QdbError} LOCKED if a writer commits during every run; what the plan throws
 */
export function* runWithRetry<I, T>(
  views: IndexedViews<I>,
  plan: (index: I) => Plan<T> | Promise<Plan<T>>,
  options: RunOptions,
): Task<T> {
  for (let opened = yield* views.next(); opened !== undefined; opened = yield* views.next()) {
    const { index, view } = opened;
    let result: { value: T } | { error: unknown };
    try {
      result = { value: yield* drive(yield* wait(plan(index)), view.source, options, views.timing) };
    } catch (error) {
      // An error counts only if the file is unchanged: bytes of two generations can cause an error.
      result = { error };
    }
    if (!(yield* view.isUnchanged("error" in result ? result.error : undefined))) continue;
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
export function* streamWithRetry<I, T, O>(
  views: IndexedViews<I>,
  plan: (index: I) => Plan<T, O>,
  sizeOf: (value: O) => number,
  options: RunOptions & StreamOptions,
  permit: Permit<I> = () => undefined,
): Task<T, O> {
  const holdBytes = limitOf(options.holdBytes, HOLD_BYTES, "holdBytes");
  for (let opened = yield* views.next(); opened !== undefined; opened = yield* views.next()) {
    const { index, view } = opened;
    let held: O[] = [];
    let bytes = 0;
    let hasLeft = false;
    let refusal: { error: unknown } | undefined;
    let result: { value: T } | { error: unknown } | undefined;
    try {
      const steps = drive(plan(index), view.source, options, views.timing);
      while (result === undefined) {
        const step = yield* nextPut(steps);
        if (step.done === true) {
          result = { value: step.value };
          break;
        }
        if (refusal !== undefined) continue;
        held.push(step.value);
        bytes += sizeOf(step.value);
        if (!hasLeft && bytes <= holdBytes) continue;
        // Before the first value is yielded, the call can still start over.
        if (!hasLeft && !(yield* view.isUnchanged())) break;
        if (!hasLeft) refusal = yield* refusalOf(permit, index);
        if (refusal !== undefined) {
          held = [];
          continue;
        }
        hasLeft = true;
        yield* putAll(held);
        held = [];
      }
    } catch (error) {
      result = { error };
    }
    const error = result !== undefined && "error" in result ? result.error : undefined;
    const isGood = result !== undefined && (yield* view.isUnchanged(error));
    if (!isGood && hasLeft) throw sourceChanged();
    if (!isGood || result === undefined) continue;
    if ("error" in result) throw result.error;
    if (!hasLeft) refusal ??= yield* refusalOf(permit, index);
    if (refusal !== undefined) throw refusal.error;
    yield* putAll(held);
    return result.value;
  }
  throw busy();
}

/** Throws, or rejects, to refuse the output of a call. */
export type Permit<I> = (index: I) => void | PromiseLike<void>;

/** Calls `permit`. Returns the error that it throws; undefined if it throws nothing. */
function* refusalOf<I>(permit: Permit<I>, index: I): Task<{ error: unknown } | undefined> {
  try {
    yield* wait(permit(index));
    return undefined;
  } catch (error) {
    return { error };
  }
}
