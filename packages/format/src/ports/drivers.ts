import { QdbError } from "../errors.ts";
import type { AbortSignalLike } from "./abort-signal.ts";
import { turn } from "./clock.ts";
import { checkSignal } from "./long-call.ts";
import { type ChangeStep, NO_PIECES, type Pieces, type Plan, type PutStep, pieceAt, type ReadStep } from "./plan.ts";
import { type AnySource, type ByteRange, type ByteSource, exactBytes, type SyncByteSource } from "./source.ts";
import type { AnyStore, Store, SyncStore } from "./store.ts";

/** Options of every call that can take a long time. */
export interface RunOptions {
  /** Makes the call fail with ABORTED, at the next step of its plan after the signal is aborted. */
  readonly signal?: AbortSignalLike | undefined;
}

type Yielded<O> = ReadStep | PutStep<O> | ChangeStep;
/** A plan of any kind, as the drivers see it. */
type AnyPlan<T, O> = Generator<Yielded<O>, T, Pieces>;

/** Milliseconds that a plan may run before the event loop gets a turn, so that timers fire and signals can be aborted. */
const SLICE_MS = 15;

/** What the synchronous driver yields when its caller is to give the event loop a turn. */
const PAUSE = Symbol("pause");

/**
 * The synchronous driver: runs a plan on a synchronous source or store, and yields the values that the plan puts out. Each time `sliceMs`
 * milliseconds have passed, it yields PAUSE, so that the caller can give the event loop a turn.
 */
function* driveSync<T, O>(
  plan: AnyPlan<T, O>,
  target: SyncByteSource | SyncStore,
  { signal }: RunOptions,
  sliceMs: number,
): Generator<PutStep<O> | typeof PAUSE, T> {
  let finished = false;
  try {
    let since = performance.now();
    let step = plan.next(NO_PIECES);
    while (step.done !== true) {
      checkSignal(signal);
      if ("put" in step.value) {
        yield step.value;
        step = plan.next(NO_PIECES);
      } else {
        step = answerSync(plan, step.value, target);
      }
      if (performance.now() - since <= sliceMs) continue;
      yield PAUSE;
      since = performance.now();
    }
    finished = true;
    return step.value;
  } finally {
    if (!finished) plan.return(undefined as T);
  }
}

/** Does what a step asks for, and continues the plan with the answer. Errors are thrown into the plan, which may handle them. */
function answerSync<T, O>(
  plan: AnyPlan<T, O>,
  step: ReadStep | ChangeStep,
  target: SyncByteSource | SyncStore,
): IteratorResult<Yielded<O>, T> {
  let pieces: Pieces;
  try {
    pieces = "read" in step ? readSync(step.read, target) : changeSync(step, storeOf(target));
  } catch (error) {
    return plan.throw(error);
  }
  return plan.next(pieces);
}

function readSync(ranges: readonly ByteRange[], source: SyncByteSource): Pieces {
  return ranges.map((range) => exactBytes(source.readSync(range.offset, range.length), range));
}

function changeSync(step: ChangeStep, store: SyncStore): Pieces {
  if ("write" in step) for (const { offset, bytes } of step.write) store.writeSync(offset, bytes);
  else if ("flush" in step) store.flushSync();
  else if ("truncate" in step) store.truncateSync(step.truncate);
  else store.confirmSync?.();
  return NO_PIECES;
}

/**
 * The asynchronous driver: runs a plan on an asynchronous source or store, and yields the values that the plan puts out. It reads the
 * ranges of a round at once.
 */
async function* drive<T, O>(
  plan: AnyPlan<T, O>,
  target: ByteSource | Store,
  options: RunOptions,
): AsyncGenerator<O, T> {
  let finished = false;
  try {
    let since = performance.now();
    let step = plan.next(NO_PIECES);
    while (step.done !== true) {
      checkSignal(options.signal);
      if ("put" in step.value) {
        yield step.value.put;
        step = plan.next(NO_PIECES);
      } else {
        step = await answer(plan, step.value, target, options);
        since = performance.now();
      }
      if (performance.now() - since <= SLICE_MS) continue;
      await turn();
      since = performance.now();
    }
    finished = true;
    return step.value;
  } finally {
    if (!finished) plan.return(undefined as T);
  }
}

async function answer<T, O>(
  plan: AnyPlan<T, O>,
  step: ReadStep | ChangeStep,
  target: ByteSource | Store,
  options: RunOptions,
): Promise<IteratorResult<Yielded<O>, T>> {
  let pieces: Pieces;
  try {
    pieces = "read" in step ? await readRound(step.read, target, options) : await change(step, storeOf(target));
  } catch (error) {
    // An aborted source throws an error of its own. ABORTED is thrown instead.
    checkSignal(options.signal);
    return plan.throw(error);
  }
  return plan.next(pieces);
}

async function readRound(ranges: readonly ByteRange[], source: ByteSource, options: RunOptions): Promise<Pieces> {
  if (source.readMany === undefined) {
    return Promise.all(
      ranges.map(async (range) => exactBytes(await source.read(range.offset, range.length, options), range)),
    );
  }
  const pieces = await source.readMany(ranges, options);
  return ranges.map((range, index) => exactBytes(pieceAt(pieces, index), range));
}

async function change(step: ChangeStep, store: Store): Promise<Pieces> {
  if ("write" in step) for (const { offset, bytes } of step.write) await store.write(offset, bytes);
  else if ("flush" in step) await store.flush();
  else if ("truncate" in step) await store.truncate(step.truncate);
  else await store.confirm?.();
  return NO_PIECES;
}

function storeOf(target: SyncByteSource | SyncStore): SyncStore;
function storeOf(target: ByteSource | Store): Store;
function storeOf(target: AnySource | AnyStore): AnyStore {
  if ("writeSync" in target || "write" in target) return target;
  throw new QdbError("NOT_SUPPORTED", "a plan that writes was run on a source that can only be read");
}

/**
 * Runs a plan on a synchronous source and yields the values that the plan puts out. The event loop gets no turn meanwhile.
 * @throws {QdbError} ABORTED if the signal is aborted; what the plan and the source throw
 */
export function* streamSync<T, O>(plan: Plan<T, O>, source: SyncByteSource, options: RunOptions = {}): Generator<O, T> {
  const steps = driveSync(plan, source, options, Number.POSITIVE_INFINITY);
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      if (step.value !== PAUSE) yield step.value.put;
    }
  } finally {
    steps.return(undefined as T);
  }
}

/**
 * Runs a plan on any source and yields the values that the plan puts out. On a synchronous source it awaits only a turn of the event loop,
 * every 15 ms.
 * @throws {QdbError} ABORTED if the signal is aborted; what the plan and the source throw
 */
export async function* stream<T, O>(
  plan: Plan<T, O>,
  source: AnySource,
  options: RunOptions = {},
): AsyncGenerator<O, T> {
  if (!("readSync" in source)) return yield* drive(plan, source, options);
  const steps = driveSync(plan, source, options, SLICE_MS);
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      if (step.value === PAUSE) await turn();
      else yield step.value.put;
    }
  } finally {
    steps.return(undefined as T);
  }
}

/**
 * Runs a plan that puts out no values on a synchronous source, and returns its result. The event loop gets no turn meanwhile. A plan that
 * writes needs a store.
 * @throws {QdbError} ABORTED if the signal is aborted; what the plan and the target throw
 */
export function runSync<T>(plan: Plan<T>, target: SyncByteSource, options?: RunOptions): T;
export function runSync<T>(plan: Plan<T, never, ChangeStep>, target: SyncStore, options?: RunOptions): T;
export function runSync<T>(plan: Plan<T, never, ChangeStep>, target: SyncByteSource, options: RunOptions = {}): T {
  const steps = driveSync(plan, target, options, Number.POSITIVE_INFINITY);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
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
  const steps = stream(plan as Plan<T>, target, options);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}
