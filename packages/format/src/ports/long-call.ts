import { QdbError } from "../errors.ts";
import type { AbortSignalLike } from "./abort-signal.ts";
import { turn } from "./clock.ts";

/** Maximum time for which work may block the event loop, in milliseconds. */
const MAX_BLOCKED_MS = 15;

/** Receives the progress of a long call. `done` and `total` are numbers of bits, or of bytes if the call works on bytes. */
export type Progress = (done: number, total: number) => void;

/** Options of every call that can take long. */
export interface LongCallOptions {
  /** If it is aborted, the call fails with ABORTED at its next step. */
  readonly signal?: AbortSignalLike | undefined;
  /** Called every few milliseconds with the progress of the call, and once at its end. */
  readonly onProgress?: Progress | undefined;
}

/** Checks whether a call was aborted by its caller. @throws {QdbError} ABORTED */
export function checkSignal(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted !== true) return;
  throw new QdbError("ABORTED", "the call was aborted by its caller", {}, { cause: signal.reason });
}

/** Lets a long loop of synchronous work report its progress, be aborted, and give way to other work in the event loop. */
export class LongCall {
  readonly #options: LongCallOptions;
  readonly #turn: () => void | Promise<void>;
  #since = performance.now();

  /** `giveTurn` gives other work in the event loop a turn; it does nothing in a call that blocks the thread. */
  constructor(options: LongCallOptions, giveTurn: () => void | Promise<void> = turn) {
    this.#options = options;
    this.#turn = giveTurn;
  }

  /** Checks whether the call was aborted. @throws {QdbError} ABORTED */
  checkSignal(): void {
    checkSignal(this.#options.signal);
  }

  /** To be called after each piece of work. A promise that is returned must be awaited. @throws {QdbError} ABORTED, also in the promise */
  step(done: number, total: number): void | Promise<void> {
    if (performance.now() - this.#since < MAX_BLOCKED_MS) return undefined;
    this.#options.onProgress?.(done, total);
    return this.#turn()?.then(() => this.#resume()) ?? this.#resume();
  }

  #resume(): void {
    this.checkSignal();
    this.#since = performance.now();
  }

  /** Reports that all work is done. */
  finish(total: number): void {
    this.#options.onProgress?.(total, total);
  }
}
