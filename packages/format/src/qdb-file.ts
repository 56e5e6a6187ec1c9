import type { Bitmap } from "./bitmap/bitmap.ts";
import type { ExtentBatch } from "./bitmap/runs.ts";
import type { BitmapShape } from "./bitmap/shape.ts";
import { type BitOptions, bitmapPlan, countPlan, type DirtyCount, extentsPlan } from "./bits/read-bits.ts";
import type { CheckSummary, Finding } from "./check/check.ts";
import { QdbError } from "./errors.ts";
import { type DumpOptions, type DumpSummary, dumpPlan } from "./json/dump.ts";
import type { Limits } from "./limits.ts";
import { readMap } from "./maps/load-maps.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import { type MirrorOptions, refuseMirror } from "./open/header-source.ts";
import { findBitmap, type QdbIndex } from "./open/qdb-index.ts";
import type { Clock } from "./ports/clock.ts";
import type { Digests } from "./ports/digest.ts";
import type { RunOptions } from "./ports/drivers.ts";
import type { Plan } from "./ports/plan.ts";
import type { AnySource } from "./ports/source.ts";
import {
  type CountedBitmap,
  countAllPlan,
  type ExtentsVisitor,
  extentsOfAllPlan,
  type LoadedBitmap,
  readAllPlan,
} from "./read-all.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import { checkStable, openStable } from "./retry/stable-reads.ts";
import { runOnState, type State, type StreamOptions, streamState } from "./retry/states.ts";
import { openView, views } from "./retry/views.ts";

/** What opening takes: checksums of the host, bounds, a signal, and what is done with bits that were found through the mirror. */
export interface OpenOptions extends RunOptions, Limits, MirrorOptions {
  readonly digests?: Digests;
  /** What pauses between two attempts to read beside a writer; the host's unless given. */
  readonly clock?: Clock;
  /** Called each time that a state of the file was read through the mirror. */
  readonly onMirror?: (index: QdbIndex) => void;
}

/** What a long call over a bitmap takes. */
export type CallOptions = RunOptions & BitOptions;

/**
 * A QDB file to be read. It takes no lock; when a writer commits meanwhile, calls start over on the new state, for ten seconds at
 * most (LOCKED). What has put something out already ends with SOURCE_CHANGED (spec §5, Readers).
 */
export class QdbFile {
  readonly #source: AnySource;
  readonly #options: OpenOptions;
  #index: QdbIndex;

  private constructor(source: AnySource, options: OpenOptions, index: QdbIndex) {
    this.#source = source;
    this.#options = options;
    this.#index = index;
  }

  /** Opens a file: reads header and bitmap table. @throws {QdbError} the first error of the file (spec §7); LOCKED */
  static async open(source: AnySource, options: OpenOptions = {}): Promise<QdbFile> {
    return new QdbFile(source, options, await openStable(source, options));
  }

  /** Header, extensions and table as they were last read. */
  get index(): QdbIndex {
    return this.#index;
  }

  /** The bitmaps in the order of the table. */
  get bitmaps(): readonly StoredBitmap[] {
    return this.#index.table.entries.map((entry) => new StoredBitmap(this, entry));
  }

  /** The bitmap of a name. @throws {QdbError} NOT_FOUND, DUPLICATE_NAME */
  bitmap(name: string): StoredBitmap {
    return new StoredBitmap(this, findBitmap(this.#index, name));
  }

  /** Every bitmap with its dirty bits counted; one in error gives its problem, and does not take the others with it. */
  async count(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<CountedBitmap[]> {
    return this.runStable((index) => countAllPlan(index, this.#digests, options.onProgress), options);
  }

  /**
   * Shows the dirty extents of every bitmap, and gives the bitmaps with what is wrong with them: one in error does not take the
   * others with it. `begin` makes what they are shown to; where a commit passed by it is called again for the new state, and what
   * was shown before counts for nothing. No more is held than the bounds of spec §7.4 allow, if the visitor does not.
   * @throws {QdbError} ABORTED; BAD_CHECKSUM where the mirror was used and is not accepted
   */
  async extentsOfAll(
    begin: (index: QdbIndex) => ExtentsVisitor,
    options: RunOptions & Pick<BitOptions, "onProgress"> = {},
  ): Promise<MappedBitmap[]> {
    const digests = this.#digests;
    const accepted = this.#options;
    return this.runStable(function* (index) {
      refuseMirror(index, accepted);
      return yield* extentsOfAllPlan(index, begin(index), digests, options.onProgress);
    }, options);
  }

  /**
   * Every bitmap in memory: with opening, four rounds for thousands of small ones. One in error has its problem in place of its bits.
   * @throws {QdbError} ABORTED; LIMIT when all bits together take more than `maxBitmapBytes`; BAD_CHECKSUM where the mirror was used and is not accepted
   */
  async readAll(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<LoadedBitmap[]> {
    const { maxBitmapBytes } = this.#options;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    const digests = this.#digests;
    const accepted = this.#options;
    return this.runStable(function* (index) {
      refuseMirror(index, accepted);
      return yield* readAllPlan(index, digests, { ...options, ...bounds });
    }, options);
  }

  /** Looks at everything and gives every finding; throws only what keeps it from looking. @throws {QdbError} IO, ABORTED, LOCKED, SOURCE_CHANGED */
  static check(
    source: AnySource,
    options: OpenOptions & Pick<BitOptions, "onProgress"> = {},
  ): AsyncGenerator<Finding, CheckSummary> {
    return checkStable(source, options);
  }

  /**
   * The JSON form (spec §6) in pieces of text. A file of 8 MiB or less is read in one piece before the first one, so that no commit can
   * come in between. @throws {QdbError} LOCKED; SOURCE_CHANGED when a commit came in after the first piece
   */
  async *dump(options: RunOptions & DumpOptions & StreamOptions = {}): AsyncGenerator<string, DumpSummary> {
    const plan = (index: QdbIndex): Plan<DumpSummary, string> => dumpPlan(index, this.#digests, options);
    return yield* streamState(this.#states(options, true), plan, (text) => text.length, options);
  }

  /** Closes the source. */
  async close(): Promise<void> {
    await this.#source.close?.();
  }

  get #digests(): Digests {
    return this.#options.digests ?? {};
  }

  /** Runs a plan on the file's present state, anew when a commit passed by. @internal */
  async runStable<T>(plan: (index: QdbIndex) => Plan<T>, options: RunOptions): Promise<T> {
    return runOnState(this.#states(options), plan, options);
  }

  /** The same for a plan that puts out. @internal */
  streamStable<T, O>(
    plan: (index: QdbIndex) => Plan<T, O>,
    sizeOf: (piece: O) => number,
    options: RunOptions & StreamOptions,
  ): AsyncGenerator<O, T> {
    return streamState(this.#states(options), plan, sizeOf, options);
  }

  /** The state of the file for each attempt to read it: the one that is known, then new ones. */
  async *#states({ signal = this.#options.signal }: RunOptions, whole = false): AsyncGenerator<State, void> {
    const options = { ...this.#options, ...(signal === undefined ? {} : { signal }) };
    const known = whole ? undefined : this.#index.opened.primary;
    for await (const view of views(this.#source, options, { known, whole })) {
      const index = view.primary === known ? this.#index : await openView(view, options);
      if (index === undefined) continue;
      this.#index = index;
      yield { index, view };
    }
  }

  /** Options with which the file was opened. @internal */
  get options(): OpenOptions {
    return this.#options;
  }
}

/** One bitmap of a file. */
export class StoredBitmap {
  readonly #file: QdbFile;
  readonly entry: BitmapEntry;

  /** @internal */
  constructor(file: QdbFile, entry: BitmapEntry) {
    this.#file = file;
    this.entry = entry;
  }

  /** The name; undefined when it is not UTF-8. */
  get name(): string | undefined {
    return this.entry.name;
  }

  /** Disk size in bytes and bytes a bit. */
  get shape(): BitmapShape {
    const { size, granularity } = this.entry.decodeFields();
    return { size, granularity };
  }

  /** The dirty extents in ascending order, in batches. @throws {QdbError} the bitmap's problem, BAD_CHECKSUM, ABORTED, SOURCE_CHANGED; USAGE for a range outside the disk */
  async *extents(options: CallOptions & StreamOptions = {}): AsyncGenerator<ExtentBatch, void> {
    const { entry } = this;
    const accepted = this.#file.options;
    const { digests } = accepted;
    const plan = function* (index: QdbIndex): Plan<void, ExtentBatch> {
      refuseMirror(index, accepted, entry.label);
      yield* extentsPlan(yield* readMap(index, sameBitmap(index, entry), digests), options);
    };
    yield* this.#file.streamStable(plan, ({ runs }) => runs.byteLength, options);
  }

  /** Counts the dirty bits, and their bytes of the disk or of `within`. @throws {QdbError} the bitmap's problem, BAD_CHECKSUM, ABORTED; USAGE for a range outside the disk */
  async count(options: CallOptions = {}): Promise<DirtyCount> {
    const { entry } = this;
    const digests = this.#file.options.digests;
    return this.#file.runStable(function* (index) {
      return yield* countPlan(yield* readMap(index, sameBitmap(index, entry), digests), options);
    }, options);
  }

  /** All bits in memory: none of a range, since the others would seem clean. @throws {QdbError} the bitmap's problem, BAD_CHECKSUM, ABORTED; LIMIT above `maxBitmapBytes` */
  async read(options: Omit<CallOptions, "within"> = {}): Promise<Bitmap> {
    const { entry } = this;
    const accepted = this.#file.options;
    const { digests, maxBitmapBytes } = accepted;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    return this.#file.runStable(function* (index) {
      refuseMirror(index, accepted, entry.label);
      return yield* bitmapPlan(yield* readMap(index, sameBitmap(index, entry), digests), { ...options, ...bounds });
    }, options);
  }
}

/** The entry in the state that was last read: the one at its place when that state did not change, else the one of its name. */
function sameBitmap(index: QdbIndex, entry: BitmapEntry): BitmapEntry {
  const same = index.table.entries[entry.index];
  if (same === entry) return entry;
  // Its bits are refused for its name, whatever the place that it had holds now.
  if (entry.name === undefined)
    throw new QdbError("NOT_FOUND", "there is no such bitmap in the file any more", { bitmap: entry.label });
  return findBitmap(index, entry.name);
}
