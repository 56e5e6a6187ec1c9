// Work that is written once and done in two ways: with promises, or without.
import { QdbError } from "../errors.ts";
import { type Clock, turn, waitSync } from "./clock.ts";
import { type RunOptions, run, runSync, stream, streamSync } from "./drivers.ts";
import type { Plan, PutStep } from "./plan.ts";
import type { AnySource, SyncByteSource } from "./source.ts";

/** A step that waits for a promise. */
interface WaitStep {
  readonly wait: PromiseLike<unknown>;
}

/**
 * Work that runs plans and calls what a host provides. It is a generator that yields each promise which it needs, so that one driver awaits
 * the promises, and the other one does the same work where there are none. `O` is the type of the values that the task puts out.
 */
export type Task<T, O = never> = Generator<WaitStep | PutStep<O>, T, unknown>;

/** Returns a value, which may be a promise, once it is there. @throws {unknown} what the promise rejects with */
export function* wait<T>(value: T | PromiseLike<T>): Task<T> {
  return isPromiseLike(value) ? ((yield { wait: value }) as T) : value;
}

/** Puts out values, one after the other. */
export function* putAll<O>(values: Iterable<O>): Task<void, O> {
  for (const value of values) yield { put: value };
}

/** Does a task inside another one. `take` receives each value that it puts out. */
export function* forEachPut<T, A, B>(task: Task<T, A>, take: (value: A) => Task<void, B>): Task<T, B> {
  let isFinished = false;
  try {
    let step = task.next();
    while (step.done !== true) {
      if ("put" in step.value) {
        yield* take(step.value.put);
        step = task.next();
        continue;
      }
      let value: unknown;
      try {
        value = yield step.value;
      } catch (error) {
        step = task.throw(error);
        continue;
      }
      step = task.next(value);
    }
    isFinished = true;
    return step.value;
  } finally {
    if (!isFinished) task.return(undefined as T);
  }
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Does a task, and yields the values that it puts out. Awaits its promises. @throws {unknown} what the task throws */
export async function* streamTask<T, O>(task: Task<T, O>): AsyncGenerator<O, T> {
  let isFinished = false;
  try {
    let step = task.next();
    while (step.done !== true) {
      if ("put" in step.value) {
        yield step.value.put;
        step = task.next();
        continue;
      }
      let value: unknown;
      try {
        value = await step.value.wait;
      } catch (error) {
        step = task.throw(error);
        continue;
      }
      step = task.next(value);
    }
    isFinished = true;
    return step.value;
  } finally {
    if (!isFinished) task.return(undefined as T);
  }
}

/** Does a task that puts out no values. Awaits its promises. @throws {unknown} what the task throws */
export async function runTask<T>(task: Task<T>): Promise<T> {
  const step = await streamTask(task).next();
  if (step.done !== true) throw new Error("a task put out a value that nobody takes");
  return step.value;
}

/**
 * Does a task without promises, and yields the values that it puts out.
 * @throws {QdbError} NOT_SUPPORTED if the host gives a promise; what the task throws
 */
export function* streamTaskSync<T, O>(task: Task<T, O>): Generator<O, T> {
  let isFinished = false;
  try {
    let step = task.next();
    while (step.done !== true) {
      if ("put" in step.value) {
        yield step.value.put;
        step = task.next();
        continue;
      }
      // Its error, if it has one, is not of interest any more.
      Promise.resolve(step.value.wait).catch(() => undefined);
      step = task.throw(asynchronous());
    }
    isFinished = true;
    return step.value;
  } finally {
    if (!isFinished) task.return(undefined as T);
  }
}

/** Does a task that puts out no values, without promises. @throws {QdbError} as {@link streamTaskSync} */
export function runTaskSync<T>(task: Task<T>): T {
  const step = streamTaskSync(task).next();
  if (step.done !== true) throw new Error("a task put out a value that nobody takes");
  return step.value;
}

/** How a task runs plans and pauses. */
export interface Engine {
  run<T>(plan: Plan<T>, source: AnySource, options: RunOptions): T | Promise<T>;
  stream<T, O>(plan: Plan<T, O>, source: AnySource, options: RunOptions): Steps<T, O>;
  pause(clock: Clock, ms: number): void | Promise<void>;
  /** Gives other work in the event loop a turn, if the caller awaits. */
  turn(): void | Promise<void>;
}

/** A plan that runs step by step. */
export interface Steps<T, O> {
  next(): IteratorResult<O, T> | Promise<IteratorResult<O, T>>;
}

/** The engine of {@link runTask}, for sources of either kind. */
export const ASYNC: Engine = {
  run: (plan, source, options) => run(plan, source, options),
  stream,
  pause: (clock, ms) => clock.wait(ms),
  turn,
};

/** The engine of {@link runTaskSync}, for synchronous sources. */
export const SYNC: Engine = {
  run: (plan, source, options) => runSync(plan, syncOf(source), options),
  stream: (plan, source, options) => streamSync(plan, syncOf(source), options),
  pause: (clock, ms) => (clock.waitSync === undefined ? waitSync(ms) : clock.waitSync(ms)),
  turn: () => undefined,
};

function syncOf(source: AnySource): SyncByteSource {
  if ("readSync" in source) return source;
  throw asynchronous();
}

function asynchronous(): QdbError {
  return new QdbError("NOT_SUPPORTED", "a synchronous call needs a source and hooks that are synchronous too");
}
