import { type AnySource, isQdbError, type QdbError } from "@qdb/format";
import { attempts, type Clock, type Plan, type RunOptions, run } from "@qdb/format/container";
import { checkSignal } from "@qdb/format/internal";
import { hasSameBytes, sourceChanged } from "./confirm-unchanged.ts";
import { type Evidence, headEvidence, type Qcow2Index, readQcow2Head, readQcow2Index } from "./qcow2-index.ts";

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
    for await (const _ of attempts(this.#options)) {
      this.#state ??= await readState(this.#source, options);
      if (this.#state === undefined) continue;
      const { index, stamp } = this.#state;
      const { size } = this.#source;
      const outcome = await outcomeOf(run(plan(index), this.#source, options));
      const before = { evidence: index.evidence, size, stamp: index.isJudged ? stamp : undefined };
      if (await isUnchanged(this.#source, before, outcome, options)) {
        this.#hasReturned ||= "value" in outcome;
        return resultOf(outcome);
      }
      if (this.#hasReturned) throw sourceChanged("the image was written after some of its bitmaps were read");
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
  if (!(await isUnchanged(source, before, outcome, options))) return undefined;
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

/** Whether an image is the same as before a plan ran. */
async function isUnchanged(
  source: AnySource,
  { evidence, size, stamp }: Before,
  outcome: Outcome<unknown>,
  options: RunOptions,
): Promise<boolean> {
  checkSignal(options.signal);
  if (source.immutable === true) return true;
  await source.refresh?.();
  // These errors can mean that another program was extending the file: the size that was read first was too small. They are then no
  // property of the image, and reading starts over.
  if ("error" in outcome && isQdbError(outcome.error, "OUT_OF_BOUNDS", "TRUNCATED", "SHORT_READ", "BAD_MAGIC")) {
    if (source.size !== size) return false;
  }
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
