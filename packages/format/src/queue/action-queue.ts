import { QdbError } from "../errors.ts";
import type { RunOptions } from "../ports/drivers.ts";
import { checkSignal } from "../ports/long-call.ts";

/** What is done in its turn. */
interface Item {
  run(): void | PromiseLike<void>;
  /** Called instead of `run` if an earlier action failed, or if the queue was given up. */
  drop?(error: unknown): void;
}

/**
 * Actions that are done one after the other, in the order in which they were added. If one fails, no later one is done, and the queue has
 * failed. Nothing is done before the call that adds it has returned.
 */
export class ActionQueue {
  readonly #options: RunOptions;
  #items: Item[] = [];
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isEnded = false;

  /** An aborted signal fails the queue before its next action. */
  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Adds an action. @throws {QdbError} USAGE if the queue has ended */
  add(run: () => void | PromiseLike<void>): void {
    this.#push({ run });
  }

  /**
   * Does work after the actions that were added so far, and returns its result. If the work fails, the queue goes on.
   * @throws {unknown} the error of the action that failed before; what `work` throws; USAGE if the queue has ended
   */
  ask<T>(work: () => T | PromiseLike<T>): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await work());
        } catch (error) {
          reject(error);
        }
      };
      this.#push({ run, drop: reject });
    });
    // A caller that does not await the result learns of a failed action from `collect`.
    result.catch(() => undefined);
    void this.#run();
    return result;
  }

  /**
   * Calls `callback`, which adds actions, and resolves with what it returns once all of them are done. Then the queue has ended.
   * @throws {unknown} what `callback` throws: no further action is done then; the error of the action that failed; ABORTED
   */
  async collect<T>(callback: () => T | PromiseLike<T>): Promise<T> {
    let result: T;
    try {
      result = await callback();
    } catch (error) {
      this.#failure ??= { error };
      await this.#end();
      throw error;
    }
    await this.#end();
    if (this.#failure !== undefined) throw this.#failure.error;
    checkSignal(this.#options.signal);
    return result;
  }

  #push(item: Item): void {
    if (this.#isEnded)
      throw new QdbError("USAGE", "the edit has ended; await everything that the callback of the edit starts");
    this.#items.push(item);
  }

  async #end(): Promise<void> {
    this.#isEnded = true;
    await this.#run();
  }

  #run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<void> {
    // The first action too is done after the caller has returned.
    await undefined;
    // Items that are added meanwhile are done too.
    for (const item of this.#items) {
      if (this.#failure !== undefined) {
        item.drop?.(this.#failure.error);
        continue;
      }
      try {
        checkSignal(this.#options.signal);
        const pending = item.run();
        if (pending !== undefined) await pending;
      } catch (error) {
        this.#failure = { error };
        item.drop?.(error);
      }
    }
    this.#items = [];
    this.#running = undefined;
  }
}
