// What the threads of a comparison tell each other, and the start of a thread.
import { Worker, type WorkerOptions } from "node:worker_threads";
import type { QdbErrorCode } from "@qdb/format";

/** An image that another thread has open. */
export interface SharedImage {
  readonly path: string;
  readonly descriptor: number;
  /** See `FileStatus.key`. */
  readonly key: string;
}

/** What a thread is given at its start. */
export interface CompareOrder {
  readonly old: SharedImage;
  readonly now: SharedImage;
  readonly total: number;
  readonly granularity: number;
  /** The number of parts that were taken, as an `Int32Array` of one number. Each thread takes the next part until all are taken. */
  readonly taken: SharedArrayBuffer;
}

/**
 * What a thread says: that it begins, before which it has taken no part; which granules of a part differ, once for each part that it has
 * taken; or why it compares no more.
 */
export type CompareReport =
  | { readonly kind: "begins" }
  | { readonly kind: "part"; readonly part: number; readonly differing: Float64Array }
  | { readonly kind: "failed"; readonly code: QdbErrorCode; readonly message: string; readonly cause: unknown };

/** Takes the next part. Returns its index, which is the number of parts or more if all are taken. */
export function takePart(taken: Int32Array): number {
  return Atomics.add(taken, 0, 1);
}

/** Starts a thread. @throws {unknown} what Node throws if the module of the thread has no place, as in a bundle of CommonJS */
export type StartThread = (options: WorkerOptions) => Worker;

/** Starts a thread of the module `compare-worker.js` beside this one. In these words bundlers find it. */
export const startThread: StartThread = (options) =>
  new Worker(new URL("./compare-worker.js", import.meta.url), options);
