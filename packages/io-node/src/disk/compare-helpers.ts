import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { QdbError } from "@qdb/format";
import { reasonOf } from "../system/errors.ts";
import { partCount } from "./compare-parts.ts";
import type { CompareOrder, CompareReport, StartThread } from "./compare-thread.ts";

/** Maximum number of threads, the calling one included: more of them wait for the memory, or for the disk. */
const MAX_THREADS = 4;

/** How long the calling thread waits for a report before it looks whether the call was aborted, in milliseconds. */
const LOOK_MS = 15;

/** Receives the granules of a part that differ, in ascending order. It is called once for each part that another thread has compared. */
export type OnPart = (part: number, differing: Float64Array) => void;

/** The threads that compare parts of two images beside the calling one. */
export class CompareHelpers {
  readonly #workers: Worker[] = [];
  readonly #onPart: OnPart;
  #running = 0;
  #failure: QdbError | undefined;
  #wake: () => void = () => undefined;

  /** Starts threads, less than there are parts. Those that cannot be started take no part: the others compare everything. */
  constructor(order: CompareOrder, start: StartThread, onPart: OnPart) {
    this.#onPart = onPart;
    const count = Math.min(availableParallelism(), MAX_THREADS, partCount(order)) - 1;
    try {
      // The arguments of this process for Node are none of the threads': modules to load first, or a profile.
      for (let at = 0; at < count; at++) this.#listen(start({ workerData: order, execArgv: [] }));
    } catch {
      // A program that was bundled may not have the module.
    }
  }

  #listen(worker: Worker): void {
    this.#workers.push(worker);
    this.#running++;
    let hasBegun = false;
    const fail = (reason: string, cause: unknown): void => {
      // A thread that has not begun has taken no part.
      if (hasBegun) this.#failure ??= lostPart(reason, cause);
      this.#wake();
    };
    worker.on("message", (report: CompareReport) => {
      if (report.kind === "begins") hasBegun = true;
      else if (report.kind === "part") this.#onPart(report.part, report.differing);
      else this.#failure ??= new QdbError(report.code, report.message, {}, { cause: report.cause });
      this.#wake();
    });
    worker.on("messageerror", (error) => fail("its report cannot be read", error));
    worker.on("error", (error) => fail(reasonOf(error), error));
    worker.on("exit", () => {
      this.#running--;
      this.#wake();
    });
  }

  /** Checks whether a thread has failed. @throws {QdbError} what its read threw; IO if the thread has ended for another reason */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Waits until a thread tells something, or for some milliseconds. To be called as long as parts are missing that other threads have taken.
   * @throws {QdbError} as {@link check}; IO if all threads have ended
   */
  async wait(): Promise<void> {
    this.check();
    // The reports of a thread arrive before its end.
    if (this.#running === 0) throw lostPart("it has not reported all that it compared");
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the threads. Once it has returned, none of them reads any more, and the images can be closed. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function lostPart(reason: string, cause?: unknown): QdbError {
  const message = `a thread that compares the images ended before its work was done: ${reason}; start again`;
  return new QdbError("IO", message, {}, { cause });
}
