// Work that is written once and done in two ways: with promises, or without.
import { QdbError } from "../errors.ts";
import { type Clock, turn, waitSync } from "./clock.ts";
import { nextPut, type PutStep } from "./plan.ts";

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

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Puts out values, one after the other. */
export function* putAll<O>(values: Iterable<O>): Task<void, O> {
  for (const value of values) yield { put: value };
}

/** Does a task inside another one. `take` receives each value that it puts out. */
export function* forEachPut<T, A, B>(task: Task<T, A>, take: (value: A) => Task<void, B>): Task<T, B> {
  try {
    for (;;) {
      const step = yield* nextPut(task);
      if (step.done === true) return step.value;
      yield* take(step.value);
    }
  } finally {
    task.return(undefined as T);
  }
}

/** Does a task that puts out no values. Awaits its promises. @throws {unknown} what the task throws */
export async function runTask<T>(task: Task<T>): Promise<T> {
  let step = task.next();
  while (step.done !== true) {
    let value: unknown;
    try {
      value = await promiseOf(step.value);
    } catch (error) {
      step = task.throw(error);
      continue;
    }
    step = task.next(value);
  }
  return step.value;
}

/** Does a task, and yields the values that it puts out. Awaits its promises. @throws {unknown} what the task throws */
export async function* streamTask<T, O>(task: Task<T, O>): AsyncGenerator<O, T> {
  try {
    for (;;) {
      const step = await runTask(nextPut(task));
      if (step.done === true) return step.value;
      yield step.value;
    }
  } finally {
    task.return(undefined as T);
  }
}

/**
 * Does a task that puts out no values, without promises.
 * @throws {QdbError} NOT_SUPPORTED if the host gives a promise; what the task throws
 */
export function runTaskSync<T>(task: Task<T>): T {
  let step = task.next();
  while (step.done !== true) {
    // If the promise is rejected later, nobody else handles that.
    Promise.resolve(promiseOf(step.value)).catch(() => undefined);
    const message = "a synchronous call needs a source and hooks that are synchronous too";
    step = task.throw(new QdbError("NOT_SUPPORTED", message));
  }
  return step.value;
}

/** Does a task without promises, and yields the values that it puts out. @throws {QdbError} as {@link runTaskSync} */
export function* streamTaskSync<T, O>(task: Task<T, O>): Generator<O, T> {
  try {
    for (;;) {
      const step = runTaskSync(nextPut(task));
      if (step.done === true) return step.value;
      yield step.value;
    }
  } finally {
    task.return(undefined as T);
  }
}

/** Returns the promise of a step. @throws {Error} if the step puts out a value, which nobody would take */
function promiseOf(step: WaitStep | PutStep<never>): PromiseLike<unknown> {
  if ("wait" in step) return step.wait;
  throw new Error("a task put out a value that nobody takes");
}

/** How a task pauses and gives way to other work: by promises, or by blocking the thread. */
export interface Timing {
  pause(clock: Clock, ms: number): void | Promise<void>;
  /** Gives other work in the event loop a turn, if the caller awaits. */
  turn(): void | Promise<void>;
}

/** For {@link runTask} and {@link streamTask}. */
export const ASYNC: Timing = { pause: (clock, ms) => clock.wait(ms), turn };

/** For {@link runTaskSync} and {@link streamTaskSync}. */
export const SYNC: Timing = {
  pause: (clock, ms) => (clock.waitSync === undefined ? waitSync(ms) : clock.waitSync(ms)),
  turn: () => undefined,
};
