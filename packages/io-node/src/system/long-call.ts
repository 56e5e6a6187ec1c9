import { type Progress, QdbError } from "@qdb/format";

/** Longest time in ms that work may block the event loop. */
const BREATH_MS = 15;

/** Options of every long call. */
export interface LongCallOptions {
  /** Makes the call fail with ABORTED at its next step. */
  readonly signal?: AbortSignal | undefined;
  /** Called every few ms with the progress of the call, and once at its end. */
  readonly onProgress?: Progress | undefined;
}

/** Lets a long loop of synchronous work report progress, be aborted, and yield to the event loop. */
export class LongCall {
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

  /** Must be called after each piece of work. The caller must await the result unless it is undefined. */
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

  /** Reports that the work is complete. */
  finish(total: number): void {
    this.#options.onProgress?.(total, total);
  }
}
