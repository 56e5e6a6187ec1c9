import type { BitmapShape } from "../bitmap/shape.ts";
import type { RunOptions } from "../ports/drivers.ts";
import type { Plan } from "../ports/plan.ts";
import type { ClusterMap } from "./cluster-map.ts";

/**
 * A bitmap of an open file, as calls see it that print or draw its bits. Containers other than QDB have readers too. Both calls start over
 * if the file changes while a plan runs, so that the side effects of a plan must be repeatable.
 */
export interface BitsReader {
  /** Size of the disk and granularity, as they were last read. */
  readonly shape: BitmapShape;
  /**
   * Runs a plan on the cluster map of the bitmap.
   * @throws {QdbError} the code of the bitmap's first problem if its bits cannot be used; what the plan and the source throw
   */
  run<T>(plan: (map: ClusterMap) => Plan<T>, options: RunOptions): Promise<T>;
  /**
   * Runs a plan and yields the values that it puts out. `sizeOf` returns the number of bytes of a value. Up to `holdBytes` bytes are held
   * back, and nothing is yielded before the plan has put out more, or has ended: until then the call can start over.
   * @throws {QdbError} SOURCE_CHANGED if the file changes after the first value was yielded; else as {@link run}
   */
  stream<T, O>(
    plan: (map: ClusterMap) => Plan<T, O>,
    sizeOf: (value: O) => number,
    options: RunOptions & { readonly holdBytes: number },
  ): AsyncGenerator<O, T>;
}
