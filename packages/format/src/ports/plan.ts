import { isQdbError, type QdbError } from "../errors.ts";
import type { FileChunk } from "./file-image.ts";
import type { ByteRange } from "./source.ts";

/** A step of a plan that asks for ranges of bytes: one round, answered with their bytes in order. */
export interface ReadStep {
  readonly read: readonly ByteRange[];
}

/** A step of a plan that puts a value out. */
export interface PutStep<O> {
  readonly put: O;
}

/** A step of a plan that changes a file. */
export type ChangeStep =
  | { readonly write: Iterable<FileChunk> }
  | { readonly flush: true }
  | { readonly truncate: number }
  | { readonly confirm: true };

/** Any step of a plan. */
export type Step<O = never> = ReadStep | PutStep<O> | ChangeStep;

/** What a driver answers a step with: the bytes that were asked for; nothing where none were. */
export type Pieces = readonly Uint8Array[];

/**
 * An order of reads and writes, stated once: a generator that yields steps. A driver answers them, the synchronous one (files, memory) or
 * the asynchronous one (HTTP, browsers); a plan can be tested with neither. An error of the source is thrown into the plan at its step.
 *
 * `T` is what the plan returns, `O` what it puts out on the way. `C` is `ChangeStep` for a plan that writes: only a store can run one.
 */
export type Plan<T, O = never, C extends ChangeStep = never> = Generator<ReadStep | PutStep<O> | C, T, Pieces>;

/** A plan that changes a file. */
export type ChangePlan<T> = Plan<T, never, ChangeStep>;

/** The answer to a step that asks for no bytes. */
export const NO_PIECES: Pieces = [];

/** Asks for ranges and gives their bytes, in order: one round. Empty ranges are not asked for. */
export function* read(ranges: readonly ByteRange[]): Plan<Pieces> {
  const asked = ranges.filter((range) => range.length > 0);
  const pieces = asked.length === 0 ? NO_PIECES : yield { read: asked };
  if (asked.length === ranges.length) return pieces;
  let next = 0;
  return ranges.map((range) => (range.length === 0 ? new Uint8Array(0) : pieceAt(pieces, next++)));
}

/** Asks for one range of bytes: a round of its own. */
export function* readRange(offset: number, length: number): Plan<Uint8Array> {
  return pieceAt(yield* read([{ offset, length }]), 0);
}

/** One of the pieces that answer a step. @throws {Error} where a driver gave fewer than were asked for */
export function pieceAt<P>(pieces: readonly P[], at: number): P {
  const piece = pieces[at];
  if (piece === undefined)
    throw new Error(`a driver answered a step with ${pieces.length} pieces; piece ${at} is missing`);
  return piece;
}

/**
 * Asks for ranges as {@link read} does. Where the round fails, asks again one by one, so that bytes that cannot be read do not take the
 * others with them: their error stands in their place.
 */
export function* readEach(ranges: readonly ByteRange[]): Plan<readonly (Uint8Array | QdbError)[]> {
  try {
    return yield* read(ranges);
  } catch (error) {
    if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
  }
  const result: (Uint8Array | QdbError)[] = [];
  for (const { offset, length } of ranges) {
    try {
      result.push(yield* readRange(offset, length));
    } catch (error) {
      if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
      result.push(error);
    }
  }
  return result;
}

/** Puts a value out. */
export function* put<O>(value: O): Plan<void, O> {
  yield { put: value };
}

/** Writes chunks in the order given. */
export function* write(chunks: Iterable<FileChunk>): ChangePlan<void> {
  yield { write: chunks };
}

/** Waits until everything written is on the disk. */
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

/**
 * Runs a reading plan inside another one and changes what it puts out; what becomes undefined is dropped. `onRead` is called before each
 * round that the inner plan asks for.
 */
export function* mapPut<T, A, B>(
  plan: Plan<T, A>,
  change: (value: A) => B | undefined,
  onRead?: () => void,
): Plan<T, B> {
  try {
    let step = plan.next(NO_PIECES);
    while (step.done !== true) {
      if ("put" in step.value) {
        const changed = change(step.value.put);
        if (changed !== undefined) yield { put: changed };
        step = plan.next(NO_PIECES);
        continue;
      }
      onRead?.();
      let bytes: Pieces;
      try {
        bytes = yield step.value;
      } catch (error) {
        step = plan.throw(error);
        continue;
      }
      step = plan.next(bytes);
    }
    return step.value;
  } finally {
    // Ends the inner plan where the outer one was ended early. A plan that has ended ignores this.
    plan.return(undefined as T);
  }
}
