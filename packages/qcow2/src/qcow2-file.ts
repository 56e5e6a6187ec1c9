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
import { isEvident, sourceChanged } from "./confirm.ts";
import { type Evidence, headEvidence, type Qcow2Index, readQcow2Head, readQcow2Index } from "./qcow2-index.ts";

/** What an image was when it was read. */
interface State {
  readonly index: Qcow2Index;
  /** What the source said of itself before the first byte was read: {@link AnySource.stamp}. */
  readonly stamp: string | undefined;
}

/** What came of a plan. */
type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** What opening takes. */
export interface Qcow2FileOptions extends RunOptions {
  /** What pauses between two attempts to read an image that changes; the host's unless given. */
  readonly clock?: Clock;
}

/**
 * The bitmaps of a qcow2 image that other programs may write to. What is read is of one state of the image: when it changes
 * meanwhile, reading starts over, and once something was handed out, it ends with SOURCE_CHANGED. No lock is taken.
 */
export class Qcow2File {
  readonly #source: AnySource;
  readonly #options: Qcow2FileOptions;
  /** The state that was read last; undefined while it is known to be an old one. */
  #state: State | undefined;
  /** Whether something of a state was handed out: nothing of a later one may stand beside it. */
  #isGiven = false;

  private constructor(source: AnySource, options: Qcow2FileOptions, state: State) {
    this.#source = source;
    this.#options = options;
    this.#state = state;
  }

  /**
   * Reads what the image says of its bitmaps.
   * @throws {QdbError} as {@link readQcow2Index}; SOURCE_CHANGED when the image changes all the time; what the source throws; ABORTED
   */
  static async open(source: AnySource, options: Qcow2FileOptions = {}): Promise<Qcow2File> {
    for await (const _ of attempts(options)) {
      const state = await readState(source, options);
      if (state !== undefined) return new Qcow2File(source, options, state);
    }
    throw keptChanging();
  }

  /**
   * Runs a plan over the bitmaps of the image and gives what it returns. The plan is run anew, with another index, when the image
   * changed meanwhile: what it does beside reading must be fit for that.
   * @throws {QdbError} what the plan throws, when the image did not change; SOURCE_CHANGED; what the source throws; ABORTED
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

/** Reads the index of an image; gives nothing when the image changed meanwhile. */
async function readState(source: AnySource, options: RunOptions): Promise<State | undefined> {
  const stamp = source.stamp?.();
  await source.refresh?.();
  const { size } = source;
  const head = await outcomeOf(run(readQcow2Head(size), source, options));
  // The length after the header: what that refers to may lie behind the end that the file had before.
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

/** By what a change is seen. */
interface Before {
  readonly evidence: readonly Evidence[];
  /** Length of the source in bytes. */
  readonly size: number;
  /** Undefined where it is not to be compared: a guest may write to an image whose bitmaps are not read. */
  readonly stamp: string | undefined;
}

/** Whether an image is what it was before a plan ran. */
async function isUnchanged(
  source: AnySource,
  { evidence, size, stamp }: Before,
  outcome: Outcome<unknown>,
  options: RunOptions,
): Promise<boolean> {
  await source.refresh?.();
  // A program may still be making the file longer, whatever its header says.
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
