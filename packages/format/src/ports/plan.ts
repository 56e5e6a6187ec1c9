import { isQdbError, type QdbError } from "../errors.ts";
import type { FileChunk } from "./file-image.ts";
import type { ByteRange } from "./source.ts";

/** A range that a step reads. */
export interface ReadRange extends ByteRange {
  /**
   * A buffer of `length` bytes that the source may read into. The piece is this buffer then, otherwise other bytes. A plan that reads into a
   * buffer again must not need what was there.
   */
  readonly into?: Uint8Array;
}

/** A step that reads ranges of bytes in one round. The driver answers it with the bytes of the ranges, in order. */
export interface ReadStep {
  readonly read: readonly ReadRange[];
}

/** A step that hands a value to the caller of the plan. */
export interface PutStep<O> {
  readonly put: O;
}

/** A step that changes a file: writes chunks, flushes, cuts the file to a length in bytes, or checks that the path still names the file. */
export type ChangeStep =
  | { readonly write: Iterable<FileChunk> }
  | { readonly flush: true }
  | { readonly truncate: number }
  | { readonly confirm: true };

/** Any step of a plan. */
export type Step<O = never> = ReadStep | PutStep<O> | ChangeStep;

/**
 * The answer of a driver to a step: one piece for each range that the step reads, which has the bytes of that range. Empty for other steps.
 */
export type Pieces = readonly Uint8Array[];

/**
 * A sequence of reads and writes: a generator that yields steps and receives their answers. A driver answers them from a file,
 * from memory or over HTTP, with promises or without, and a test can answer them itself. If a step fails, the error is thrown into
 * the plan at that step.
 *
 * `T` is the type of the result, `O` the type of the values that the plan puts out. `C` is `ChangeStep` for a plan that writes and needs a
 * store, `never` for a plan that only reads.
 */
export type Plan<T, O = never, C extends ChangeStep = never> = Generator<ReadStep | PutStep<O> | C, T, Pieces>;

/** A plan that changes a file. */
export type ChangePlan<T> = Plan<T, never, ChangeStep>;

/** The answer to a step that reads nothing. */
export const NO_PIECES: Pieces = [];

/** Reads ranges in one round and returns their bytes, in order. Empty ranges are not passed on to the driver. */
export function* read(ranges: readonly ReadRange[]): Plan<Pieces> {
  const asked = ranges.filter((range) => range.length > 0);
  const pieces = asked.length === 0 ? NO_PIECES : yield { read: asked };
  if (asked.length === ranges.length) return pieces;
  let next = 0;
  return ranges.map((range) => (range.length === 0 ? new Uint8Array(0) : pieceAt(pieces, next++)));
}

/** Reads one range of bytes, in a round of its own. */
export function* readRange(offset: number, length: number): Plan<Uint8Array> {
  return pieceAt(yield* read([{ offset, length }]), 0);
}

/** Reads one range of bytes. Returns the error (IO or SHORT_READ) if the range cannot be read. */
export function* tryReadRange(offset: number, length: number): Plan<Uint8Array | QdbError> {
  try {
    return yield* readRange(offset, length);
  } catch (error) {
    if (isQdbError(error, "IO", "SHORT_READ")) return error;
    throw error;
  }
}

/** Returns the piece of index `at` of the answer to a step. @throws {Error} if the driver gave fewer pieces */
export function pieceAt<P>(pieces: readonly P[], at: number): P {
  const piece = pieces[at];
  if (piece === undefined)
    throw new Error(`a driver answered a step with ${pieces.length} pieces; piece ${at} is missing`);
  return piece;
}

/**
 * Reads ranges as {@link read} does. If the round fails with IO or SHORT_READ, each range is read again in a round of its own. The result
 * then has the error instead of the bytes for each range that cannot be read.
 */
export function* readEach(ranges: readonly ByteRange[]): Plan<readonly (Uint8Array | QdbError)[]> {
  try {
    return yield* read(ranges);
  } catch (error) {
    if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
  }
  const result: (Uint8Array | QdbError)[] = [];
  for (const { offset, length } of ranges) result.push(yield* tryReadRange(offset, length));
  return result;
}

/** Puts out a value: hands it to the caller of the plan. */
export function* put<O>(value: O): Plan<void, O> {
  yield { put: value };
}

/** Writes chunks, in the given order. */
export function* write(chunks: Iterable<FileChunk>): ChangePlan<void> {
  yield { write: chunks };
}

/** Waits until all bytes written so far are on the disk (fsync). */
export function* flush(): ChangePlan<void> {
  yield { flush: true };
}

/** Cuts the file to a length in bytes. */
export function* truncate(length: number): ChangePlan<void> {
  yield { truncate: length };
}

/** Checks that the path still names the file. */
export function* confirm(): ChangePlan<void> {
  yield { confirm: true };
}

/** Runs a plan whose errors do not matter. */
export function* dropErrors(plan: ChangePlan<void>): ChangePlan<void> {
  try {
    yield* plan;
  } catch {}
}

/**
 * Runs a plan or a task, inside another one, up to the next value that it puts out, or to its end. The other steps are passed on; `onStep`
 * is called before each of them.
 */
export function* nextPut<S extends object, O, T, A>(
  work: Generator<S | PutStep<O>, T, A>,
  onStep?: () => void,
): Generator<S, IteratorResult<O, T>, A> {
  // The answer to a value that was put out is not used.
  let step = work.next(undefined as A);
  while (step.done !== true) {
    if ("put" in step.value) return { done: false, value: step.value.put };
    onStep?.();
    let answer: A;
    try {
      answer = yield step.value;
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(answer);
  }
  return step;
}

/**
 * Runs `plan` inside another plan. `change` maps each value that `plan` puts out; if the result is undefined, nothing is put out. `onRead`
 * is called before each round of reads of `plan`.
 */
export function* mapPut<T, A, B>(
  plan: Plan<T, A>,
  change: (value: A) => B | undefined,
  onRead?: () => void,
): Plan<T, B> {
  try {
    for (;;) {
      const step = yield* nextPut<ReadStep, A, T, Pieces>(plan, onRead);
      if (step.done === true) return step.value;
      const changed = change(step.value);
      if (changed !== undefined) yield { put: changed };
    }
  } finally {
    // If the outer plan is ended early, the inner plan must end too. If the inner plan has ended already, this does nothing.
    plan.return(undefined as T);
  }
}
