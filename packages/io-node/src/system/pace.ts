import { type Progress, QdbError } from "@qdb/format";

/** How long work may keep the event loop before timers and signals get their turn, in ms. */
const BREATH_MS = 15;

/** What every long call takes. */
export interface LongCallOptions {
  /** Ends the call with ABORTED at its next step. */
  readonly signal?: AbortSignal | undefined;
  /** Told every few ms how far the call is, and once at its end. */
  readonly onProgress?: Progress | undefined;
}

/** Keeps a long synchronous loop answerable: progress out, abort in, the event loop alive. */
export class Pace {
  readonly #options: LongCallOptions;
  #since = performance.now();

  constructor(options: LongCallOptions) {
    this.#options = options;
  }

  /** @throws {QdbError} ABORTED */
  checkSignal(): void {
    const { signal } = this.#options;
    if (signal?.aborted === true) {
      throw new QdbError("ABORTED", "the call was aborted by its caller", {}, { cause: signal.reason });
    }
  }

  /** To be called after each piece of work; what it gives, if anything, is to be awaited. */
  step(done: number, total: number): Promise<void> | undefined {
    if (performance.now() - this.#since < BREATH_MS) return undefined;
    return this.#breathe(done, total);
  }

  async #breathe(done: number, total: number): Promise<void> {
    this.#options.onProgress?.(done, total);
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.checkSignal();
    this.#since = performance.now();
  }

  /** Tells that the work is complete. */
  finish(total: number): void {
    this.#options.onProgress?.(total, total);
  }
}
