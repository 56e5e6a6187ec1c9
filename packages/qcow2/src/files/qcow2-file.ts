import { type AnySource, isQdbError, QdbError, quote } from "@qdb/format";
import { attempts, type Clock, type Plan, type RunOptions, run, type StreamOptions } from "@qdb/format/container";
import {
  ASYNC,
  type BitsReader,
  checkSignal,
  type IndexedView,
  type IndexedViews,
  runTask,
  runWithRetry,
  streamTask,
  streamWithRetry,
  type Task,
  wait,
} from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import { type Evidence, headEvidence, type Qcow2Index, readQcow2Head, readQcow2Index } from "../bitmaps/qcow2-index.ts";
import { hasSameBytes, sourceChanged } from "./confirm-unchanged.ts";

/** An image as it was at one time. */
interface State {
  readonly index: Qcow2Index;
  /** {@link AnySource.stamp} from before the first byte of this state was read. */
  readonly stamp: string | undefined;
}

/** The result of a plan, or the error that it threw. */
type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Options of {@link Qcow2File.open}. */
export interface Qcow2FileOptions extends RunOptions {
  /** The clock for pauses between attempts to read an image that changes. Default: the clock of the host. */
  readonly clock?: Clock;
}

/**
 * The bitmaps of a qcow2 image to which other programs may write at the same time. All results belong to one state of the image: if the
 * image changes while it is read, reading starts over; if a result was returned before, it fails with SOURCE_CHANGED instead. No lock is
 * taken.
 */
export class Qcow2File {
  readonly #source: AnySource;
  readonly #options: Qcow2FileOptions;
  /** The state that was read last; undefined if the image is known to have changed since. */
  #state: State | undefined;
  /** Whether a result was returned to the caller. Results of a later state of the image must not be mixed with it. */
  #hasReturned = false;

  private constructor(source: AnySource, options: Qcow2FileOptions, state: State) {
    this.#source = source;
    this.#options = options;
    this.#state = state;
  }

  /**
   * Reads the index of the image: everything about its bitmaps but the bits.
   * @throws {QdbError} SOURCE_CHANGED if the image changes during every attempt; ABORTED; what the source throws; else as {@link
   * readQcow2Index}
   */
  static async open(source: AnySource, options: Qcow2FileOptions = {}): Promise<Qcow2File> {
    for await (const _ of attempts(options)) {
      const state = await readState(source, options);
      if (state !== undefined) return new Qcow2File(source, options, state);
    }
    throw keptChanging();
  }

  /**
   * Runs a plan over the bitmaps of the image and returns its result. If the image changes meanwhile, the plan is run again with a new
   * index, so its side effects must be repeatable.
   * @throws {QdbError} SOURCE_CHANGED if the image changed after a result was returned, or changes during every attempt; ABORTED; what the
   * source throws; else what the plan throws
   */
  async run<T>(plan: (index: Qcow2Index) => Plan<T>, options: RunOptions = {}): Promise<T> {
    const result = await runTask(runWithRetry(this.#views(options), plan, options));
    this.#hasReturned = true;
    return result;
  }

  /**
   * Runs a plan as {@link run} does, and yields the values that it puts out. `sizeOf` returns the number of bytes of a value. As many as
   * `holdBytes` allows are held back, so that the call can start over; after the first one was yielded, it cannot.
   * @throws {QdbError} as {@link run}
   */
  async *stream<T, O>(
    plan: (index: Qcow2Index) => Plan<T, O>,
    sizeOf: (value: O) => number,
    options: RunOptions & StreamOptions = {},
  ): AsyncGenerator<O, T> {
    const values = streamTask(streamWithRetry(this.#views(options), plan, sizeOf, options));
    try {
      for (;;) {
        const step = await values.next();
        this.#hasReturned = true;
        if (step.done === true) return step.value;
        yield step.value;
      }
    } finally {
      await values.return(undefined as T);
    }
  }

  /**
   * Everything about the bitmaps but their bits, as it was read last.
   * @throws {QdbError} SOURCE_CHANGED if the image is known to have changed since
   */
  get index(): Qcow2Index {
    if (this.#state === undefined) throw changedAfterReading();
    return this.#state.index;
  }

  /**
   * Returns the reader of the bits of a bitmap. `label` is its name or, if the name is not UTF-8, `hex:` followed by the bytes as hex digits.
   * @throws {QdbError} as {@link findQcow2Bitmap}; the code of the bitmap's `shapeProblem`; SOURCE_CHANGED as {@link index}
   */
  bitsReader(label: string): BitsReader {
    const { shape, shapeProblem } = findQcow2Bitmap(this.index, label);
    if (shapeProblem !== undefined) throw QdbError.from(shapeProblem);
    return {
      shape,
      run: (plan, options) => this.run((index) => plan(findQcow2Bitmap(index, label).map()), options),
      stream: (plan, sizeOf, options) =>
        this.stream((index) => plan(findQcow2Bitmap(index, label).map()), sizeOf, options),
    };
  }

  #views(options: RunOptions): IndexedViews<Qcow2Index> {
    const tries = attempts(this.#options);
    return { timing: ASYNC, next: () => this.#nextView(tries, options) };
  }

  /** Returns the image for the next attempt, with the index that was read last, or with the one that is read now if the image has changed. */
  *#nextView(tries: AsyncGenerator<void, void>, options: RunOptions): Task<IndexedView<Qcow2Index>> {
    for (;;) {
      if (this.#state === undefined && this.#hasReturned) throw changedAfterReading();
      if ((yield* wait(tries.next())).done === true) throw keptChanging();
      this.#state ??= yield* wait(readState(this.#source, options));
      if (this.#state !== undefined) return this.#viewOf(this.#state, options);
    }
  }

  #viewOf(state: State, options: RunOptions): IndexedView<Qcow2Index> {
    const source = this.#source;
    const { index, stamp } = state;
    const before = { evidence: index.evidence, size: source.size, stamp: index.isJudged ? stamp : undefined };
    const isUnchangedNow = async (error: unknown): Promise<boolean> => {
      if (await isUnchanged(source, before, error, options)) return true;
      if (this.#state === state) this.#state = undefined;
      return false;
    };
    return { index, view: { source, isUnchanged: (error) => wait(isUnchangedNow(error)) } };
  }

  /** Closes the source. */
  async close(): Promise<void> {
    await this.#source.close?.();
  }
}

/**
 * Returns a bitmap of an image by its label: its name or, if the name is not UTF-8, `hex:` followed by the bytes as hex digits.
 * @throws {QdbError} NOT_FOUND; DUPLICATE_NAME if two bitmaps have that label
 */
export function findQcow2Bitmap({ bitmaps }: Qcow2Index, label: string): Qcow2Bitmap {
  const [bitmap, ...others] = bitmaps.filter((one) => one.label === label);
  const where = { bitmap: label };
  if (bitmap === undefined) throw new QdbError("NOT_FOUND", `there is no bitmap ${quote(label)} in the image`, where);
  if (others.length > 0) throw new QdbError("DUPLICATE_NAME", `two bitmaps are called ${quote(label)}`, where);
  return bitmap;
}

function changedAfterReading(): QdbError {
  return sourceChanged("the image was written after some of its bitmaps were read");
}

function keptChanging(): QdbError {
  return sourceChanged("the image was written each time that it was read");
}

/** Reads the index of an image. Returns undefined if the image changed meanwhile. */
async function readState(source: AnySource, options: RunOptions): Promise<State | undefined> {
  const stamp = source.stamp?.();
  await source.refresh?.();
  const { size } = source;
  const head = await outcomeOf(run(readQcow2Head(size), source, options));
  // The file size is taken again after the header was read, because the header may refer to structures that were appended meanwhile.
  await source.refresh?.();
  const outcome: Outcome<Qcow2Index> =
    "error" in head ? head : await outcomeOf(run(readQcow2Index(source.size, head.value), source, options));
  const isJudged = "error" in outcome || outcome.value.isJudged;
  const before = {
    evidence: "value" in outcome ? outcome.value.evidence : "value" in head ? [headEvidence(head.value)] : [],
    size,
    stamp: isJudged ? stamp : undefined,
  };
  const error = "error" in outcome ? outcome.error : undefined;
  if (!(await isUnchanged(source, before, error, options))) return undefined;
  return { index: resultOf(outcome), stamp };
}

/** The state of an image before a plan ran, with which the image is compared afterwards. */
interface Before {
  readonly evidence: readonly Evidence[];
  /** Length of the source in bytes. */
  readonly size: number;
  /** Stamp of the source. Undefined if it is not to be compared: while no bitmap is read, the guest may write to the image. */
  readonly stamp: string | undefined;
}

/** Whether an image is the same as before a plan ran. `error` is what the plan threw, if it did. */
async function isUnchanged(
  source: AnySource,
  { evidence, size, stamp }: Before,
  error: unknown,
  options: RunOptions,
): Promise<boolean> {
  checkSignal(options.signal);
  if (source.immutable === true) return true;
  await source.refresh?.();
  // These errors can mean that another program was extending the file: the size that was read first was too small. They are then no
  // property of the image, and reading starts over.
  const canBeOfGrowth = isQdbError(error, "OUT_OF_BOUNDS", "TRUNCATED", "SHORT_READ", "BAD_MAGIC");
  if (canBeOfGrowth && source.size !== size) return false;
  if (stamp !== undefined && source.stamp?.() !== stamp) return false;
  return run(hasSameBytes(evidence), source, options);
}

async function outcomeOf<T>(work: Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work };
  } catch (error) {
    return { error };
  }
}

function resultOf<T>(outcome: Outcome<T>): T {
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}
