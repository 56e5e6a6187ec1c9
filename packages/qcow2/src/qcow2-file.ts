import {
  type AnySource,
  attempts,
  type Clock,
  isQdbError,
  type Plan,
  type QdbError,
  type RunOptions,
  run,
} from "@qdb/format";
import { isEvident, sourceChanged } from "./confirm-unchanged.ts";
import { type Evidence, headEvidence, type Qcow2Index, readQcow2Head, readQcow2Index } from "./qcow2-index.ts";

/** The state of an image when it was read. */
interface State {
  readonly index: Qcow2Index;
  /** {@link AnySource.stamp} before the first byte was read. */
  readonly stamp: string | undefined;
}

/** The result of a plan, or what it threw. */
type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Options of {@link Qcow2File.open}. */
export interface Qcow2FileOptions extends RunOptions {
  /** The clock that waits between attempts to read a changing image. Default: the clock of the host. */
  readonly clock?: Clock;
}

/**
 * The bitmaps of a qcow2 image that other programs may write to at the same time. Everything read belongs to one state of the
 * image. When the image changes meanwhile, reading starts over; once a result was returned, it fails with SOURCE_CHANGED instead.
 * Takes no lock.
 */
export class Qcow2File {
  readonly #source: AnySource;
  readonly #options: Qcow2FileOptions;
  /** The state that was read last; undefined when it is known to be outdated. */
  #state: State | undefined;
  /** Whether a result was returned to the caller. Results of a later state must not be mixed with it. */
  #isGiven = false;

  private constructor(source: AnySource, options: Qcow2FileOptions, state: State) {
    this.#source = source;
    this.#options = options;
    this.#state = state;
  }

  /**
   * Reads the index of the image: everything about its bitmaps but the bits.
   * @throws {QdbError} as {@link readQcow2Index}; SOURCE_CHANGED when the image keeps changing; what the source throws; ABORTED
   */
  static async open(source: AnySource, options: Qcow2FileOptions = {}): Promise<Qcow2File> {
    for await (const _ of attempts(options)) {
      const state = await readState(source, options);
      if (state !== undefined) return new Qcow2File(source, options, state);
    }
    throw keptChanging();
  }

  /**
   * Runs a plan over the bitmaps of the image and returns its result. When the image changes meanwhile, the plan is run again with
   * a new index, so its side effects must be repeatable.
   * @throws {QdbError} what the plan throws while the image does not change; SOURCE_CHANGED; what the source throws; ABORTED
   */
  async run<T>(plan: (index: Qcow2Index) => Plan<T>, options: RunOptions = {}): Promise<T> {
    for await (const _ of attempts(this.#options)) {
      this.#state ??= await readState(this.#source, options);
      if (this.#state === undefined) continue;
      const { index, stamp } = this.#state;
      const { size } = this.#source;
      const outcome = await outcomeOf(run(plan(index), this.#source, options));
      const before = { evidence: index.evidence, size, stamp: index.isJudged ? stamp : undefined };
      if (await isUnchanged(this.#source, before, outcome, options)) {
        this.#isGiven ||= "value" in outcome;
        return resultOf(outcome);
      }
      if (this.#isGiven) throw sourceChanged("the image was written after some of its bitmaps were read");
      this.#state = undefined;
    }
    throw keptChanging();
  }

  /** Closes the source. */
  async close(): Promise<void> {
    await this.#source.close?.();
  }
}

function keptChanging(): QdbError {
  return sourceChanged("the image was written each time that it was read");
}

/** Reads the index of an image. Undefined when the image changed meanwhile. */
async function readState(source: AnySource, options: RunOptions): Promise<State | undefined> {
  const stamp = source.stamp?.();
  await source.refresh?.();
  const { size } = source;
  const head = await outcomeOf(run(readQcow2Head(size), source, options));
  // Take the file size after reading the header: the header may refer to structures past the earlier end.
  await source.refresh?.();
  const outcome: Outcome<Qcow2Index> =
    "error" in head ? head : await outcomeOf(run(readQcow2Index(source.size, head.value), source, options));
  const isJudged = "error" in outcome || outcome.value.isJudged;
  const before = {
    evidence: "value" in outcome ? outcome.value.evidence : "value" in head ? [headEvidence(head.value)] : [],
    size,
    stamp: isJudged ? stamp : undefined,
  };
  if (!(await isUnchanged(source, before, outcome, options))) return undefined;
  return { index: resultOf(outcome), stamp };
}

/** What an image is compared with to detect a change. */
interface Before {
  readonly evidence: readonly Evidence[];
  /** Length of the source in bytes. */
  readonly size: number;
  /** Undefined to skip this comparison: while no bitmap is read, the guest may write to the image. */
  readonly stamp: string | undefined;
}

/** Whether an image is unchanged since before a plan ran. */
async function isUnchanged(
  source: AnySource,
  { evidence, size, stamp }: Before,
  outcome: Outcome<unknown>,
  options: RunOptions,
): Promise<boolean> {
  await source.refresh?.();
  // Such an error can come from a file that another program is still extending.
  if ("error" in outcome && isQdbError(outcome.error, "OUT_OF_BOUNDS", "TRUNCATED", "SHORT_READ", "BAD_MAGIC")) {
    if (source.size !== size) return false;
  }
  if (stamp !== undefined && source.stamp?.() !== stamp) return false;
  return run(isEvident(evidence), source, options);
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
