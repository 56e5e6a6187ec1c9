import { QdbError } from "../errors.ts";
import type { AbortSignalLike } from "./abort-signal.ts";
import { checkSignal } from "./long-call.ts";
import {
  type ChangeStep,
  NO_PIECES,
  type Pieces,
  type Plan,
  type PutStep,
  pieceAt,
  type ReadRange,
  type ReadStep,
} from "./plan.ts";
import { type AnySource, type ByteRange, type ByteSource, exactBytes, type SyncByteSource } from "./source.ts";
import type { AnyStore, Store, SyncStore } from "./store.ts";
import { ASYNC, runTask, runTaskSync, SYNC, streamTask, streamTaskSync, type Task, type Timing, wait } from "./task.ts";

/** Options of every call that can take a long time. */
export interface RunOptions {
  /** Makes the call fail with ABORTED, at the next step of its plan after the signal is aborted. */
  readonly signal?: AbortSignalLike | undefined;
}

type Yielded<O> = ReadStep | PutStep<O> | ChangeStep;
/** A plan of any kind, as the driver sees it. */
type AnyPlan<T, O> = Generator<Yielded<O>, T, Pieces>;

/** Milliseconds that a plan may run before the event loop gets a turn, so that timers fire and signals can be aborted. */
const SLICE_MS = 15;

/** Makes a change of a file that a plan asks for. */
type Change = (step: ChangeStep) => Pieces | Promise<Pieces>;

/**
 * The driver: runs a plan on a source, and puts out the values that the plan puts out. Every 15 ms the event loop gets a turn, also between
 * reads that are awaited, since a source may have the bytes already. On a synchronous source no other promise is needed than that of
 * `timing` for the turn. A plan that writes needs `change`.
 */
export function* drive<T, O>(
  plan: Plan<T, O> | AnyPlan<T, O>,
  source: AnySource,
  options: RunOptions,
  timing: Timing,
  change: Change = refuseChange,
): Task<T, O> {
  const answer = (asked: ReadStep | ChangeStep): Pieces | Promise<Pieces> =>
    "read" in asked ? readRound(asked.read, source, options) : change(asked);
  try {
    let since = performance.now();
    let step: IteratorResult<Yielded<O>, T> = plan.next(NO_PIECES);
    while (step.done !== true) {
      checkSignal(options.signal);
      if ("put" in step.value) {
        yield step.value;
        step = plan.next(NO_PIECES);
      } else {
        step = yield* goOn(plan, step.value, answer, options);
      }
      if (performance.now() - since <= SLICE_MS) continue;
      yield* wait(timing.turn());
      since = performance.now();
    }
    return step.value;
  } finally {
    // Does nothing if the plan has ended.
    plan.return(undefined as T);
  }
}

/** Continues a plan with the answer to a step. Errors are thrown into the plan, which may handle them. */
function* goOn<T, O, S extends Yielded<O>>(
  plan: AnyPlan<T, O>,
  step: S,
  answer: (step: S) => Pieces | Promise<Pieces>,
  options: RunOptions,
): Task<IteratorResult<Yielded<O>, T>> {
  let pieces: Pieces;
  try {
    pieces = yield* wait(answer(step));
  } catch (error) {
    // An aborted source throws an error of its own. ABORTED is thrown instead.
    checkSignal(options.signal);
    return plan.throw(error);
  }
  return plan.next(pieces);
}

/** Reads the ranges of a round: at once, if the source is asynchronous. */
function readRound(ranges: readonly ReadRange[], source: AnySource, options: RunOptions): Pieces | Promise<Pieces> {
  return "readSync" in source ? ranges.map((range) => readSync(range, source)) : readAsync(ranges, source, options);
}

function readSync(range: ReadRange, source: SyncByteSource): Uint8Array {
  const { offset, length, into } = range;
  if (into === undefined || source.readIntoSync === undefined)
    return exactBytes(source.readSync(offset, length), range);
  source.readIntoSync(offset, exactBytes(into, range));
  return into;
}

async function readAsync(ranges: readonly ByteRange[], source: ByteSource, options: RunOptions): Promise<Pieces> {
  if (source.readMany === undefined) {
    return Promise.all(
      ranges.map(async (range) => exactBytes(await source.read(range.offset, range.length, options), range)),
    );
  }
  const pieces = await source.readMany(ranges, options);
  return ranges.map((range, index) => exactBytes(pieceAt(pieces, index), range));
}

function refuseChange(): never {
  throw new QdbError("NOT_SUPPORTED", "a plan that writes was run on a source that can only be read");
}

/** Returns what makes the changes of a plan that runs on a target. */
function changeOf(target: AnySource | AnyStore): Change {
  if ("writeSync" in target) return (step) => changeSync(step, target);
  return "write" in target ? (step) => changeAsync(step, target) : refuseChange;
}

function changeSync(step: ChangeStep, store: SyncStore): Pieces {
  if ("write" in step) for (const { offset, bytes } of step.write) store.writeSync(offset, bytes);
  else if ("flush" in step) store.flushSync();
  else if ("truncate" in step) store.truncateSync(step.truncate);
  else store.confirmSync?.();
  return NO_PIECES;
}

async function changeAsync(step: ChangeStep, store: Store): Promise<Pieces> {
  if ("write" in step) for (const { offset, bytes } of step.write) await store.write(offset, bytes);
  else if ("flush" in step) await store.flush();
  else if ("truncate" in step) await store.truncate(step.truncate);
  else await store.confirm?.();
  return NO_PIECES;
}

/**
 * Runs a plan on a synchronous source and yields the values that the plan puts out. The event loop gets no turn meanwhile.
 * @throws {QdbError} ABORTED if the signal is aborted; what the plan and the source throw
 */
export function streamSync<T, O>(plan: Plan<T, O>, source: SyncByteSource, options: RunOptions = {}): Generator<O, T> {
  return streamTaskSync(drive(plan, source, options, SYNC));
}

/**
 * Runs a plan on any source and yields the values that the plan puts out. On a synchronous source it awaits only a turn of the event loop,
 * every 15 ms.
 * @throws {QdbError} ABORTED if the signal is aborted; what the plan and the source throw
 */
export function stream<T, O>(plan: Plan<T, O>, source: AnySource, options: RunOptions = {}): AsyncGenerator<O, T> {
  return streamTask(drive(plan, source, options, ASYNC));
}

/**
 * Runs a plan that puts out no values on a synchronous source, and returns its result. The event loop gets no turn meanwhile. A plan that
 * writes needs a store.
 * @throws {QdbError} ABORTED if the signal is aborted; what the plan and the target throw
 */
export function runSync<T>(plan: Plan<T>, target: SyncByteSource, options?: RunOptions): T;
export function runSync<T>(plan: Plan<T, never, ChangeStep>, target: SyncStore, options?: RunOptions): T;
export function runSync<T>(plan: Plan<T, never, ChangeStep>, target: SyncByteSource, options: RunOptions = {}): T {
  return runTaskSync(drive(plan, target, options, SYNC, changeOf(target)));
}

/**
 * Runs a plan that puts out no values on any source, and returns its result. A plan that writes needs a store.
 * @throws {QdbError} ABORTED if the signal is aborted; what the plan and the target throw
 */
export async function run<T>(plan: Plan<T>, target: AnySource, options?: RunOptions): Promise<T>;
export async function run<T>(plan: Plan<T, never, ChangeStep>, target: AnyStore, options?: RunOptions): Promise<T>;
export async function run<T>(
  plan: Plan<T, never, ChangeStep>,
  target: AnySource,
  options: RunOptions = {},
): Promise<T> {
  return runTask(drive(plan, target, options, ASYNC, changeOf(target)));
}
