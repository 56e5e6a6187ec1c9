import type { Bitmap } from "./bitmap/bitmap.ts";
import type { ExtentBatch } from "./bitmap/runs.ts";
import type { BitmapShape } from "./bitmap/shape.ts";
import { type BitOptions, bitmapPlan, countPlan, type DirtyCount, extentsPlan } from "./bits/read-bits.ts";
import type { CheckSummary, Finding } from "./check/check.ts";
import { type Problem, QdbError } from "./errors.ts";
import { type DumpOptions, type DumpSummary, dumpPlan } from "./json/dump.ts";
import type { Limits } from "./limits.ts";
import { readMap } from "./maps/load-maps.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import { askBeforeBits, type BitsOptions } from "./open/before-bits.ts";
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
import { refusalsOf, withoutRefused } from "./refused-bits.ts";
import { checkWithRetry } from "./retry/check-with-retry.ts";
import { fileViews, type OpenedView, openView, openWithRetry } from "./retry/file-views.ts";
import { runWithRetry, type StreamOptions, streamWithRetry } from "./retry/run-with-retry.ts";

/** Options of {@link QdbFile.open}, which also apply to the calls on the open file. */
export interface OpenOptions extends RunOptions, Limits, MirrorOptions, BitsOptions {
  readonly digests?: Digests;
  /** Clock for the pauses between two attempts to read, when a writer commits meanwhile. The default is the clock of the host. */
  readonly clock?: Clock;
  /** Called each time the mirror is used as the header of the file, because the primary is damaged or cannot be read. */
  readonly onMirror?: (index: QdbIndex) => void;
}

/** Options of a call that reads the bits of a bitmap. */
export type CallOptions = RunOptions & BitOptions;

/**
 * A QDB file that is open for reading. It takes no lock. If a writer commits during a call, the call starts over on the new generation. It
 * fails with LOCKED if that goes on for ten seconds, or with SOURCE_CHANGED if it has yielded a part of its output (spec §5, Readers).
 * Since each call may read header and table anew, each can also throw what `open` throws.
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

  /**
   * Opens a file: reads header and bitmap table.
   * @throws {QdbError} the code of the first error of the file (spec §7); IO, SHORT_READ if header or table cannot be read; ABORTED if the
   * signal is aborted; LOCKED if a writer commits during every attempt
   */
  static async open(source: AnySource, options: OpenOptions = {}): Promise<QdbFile> {
    return new QdbFile(source, options, await openWithRetry(source, options));
  }

  /** Header, extensions and table, as they were last read. */
  get index(): QdbIndex {
    return this.#index;
  }

  /** The bitmaps in the order of the table. */
  get bitmaps(): readonly StoredBitmap[] {
    return this.#index.table.entries.map((entry) => new StoredBitmap(this, entry));
  }

  /** Returns the bitmap with a name. @throws {QdbError} NOT_FOUND if no bitmap has it; DUPLICATE_NAME if several have it */
  bitmap(name: string): StoredBitmap {
    return new StoredBitmap(this, findBitmap(this.#index, name));
  }

  /**
   * Counts the dirty bits of every bitmap. A bitmap that cannot be used has a problem instead of a count. `beforeBits` is not called, since
   * a count says something of the file and gives out no bits.
   */
  async count(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<CountedBitmap[]> {
    return this.runWithRetry((index) => countAllPlan(index, this.#digests, options.onProgress), options);
  }

  /**
   * Shows the dirty extents of every bitmap to a visitor, and returns the bitmaps. A bitmap that cannot be used has a problem; the other
   * bitmaps are still shown. `begin` makes the visitor. If a writer commits meanwhile, `begin` is called again for the new generation, and
   * what the earlier visitor received must be discarded. If `beforeBits` refuses a bitmap by an error, none of its extents are shown, and
   * the error is its problem. Memory stays within the bounds of spec §7.4, apart from what the visitor keeps.
   * @throws {QdbError} BAD_CHECKSUM if the header was read from the mirror and `acceptMirror` is not set
   */
  async extentsOfAll(
    begin: (index: QdbIndex) => ExtentsVisitor,
    options: RunOptions & Pick<BitOptions, "onProgress"> = {},
  ): Promise<MappedBitmap[]> {
    const digests = this.#digests;
    const accepted = this.#options;
    const plan = function* (index: QdbIndex, refused: ReadonlyMap<BitmapEntry, Problem>): Plan<MappedBitmap[]> {
      refuseMirror(index, accepted);
      const visit = begin(index);
      const visitor: ExtentsVisitor = (entry, batch) => {
        if (!refused.has(entry)) visit(entry, batch);
      };
      const mapped = yield* extentsOfAllPlan(index, visitor, digests, options.onProgress);
      for (const bitmap of mapped) {
        const refusal = refused.get(bitmap.entry);
        // Added last, since a problem of the bitmap itself is reported before one of its disk (QDB-ERR-025).
        if (refusal !== undefined && bitmap.usableMap !== undefined) bitmap.addDataProblem(refusal);
      }
      return mapped;
    };
    return this.runWithRetry(async (index) => plan(index, await refusalsOf(index, accepted)), options);
  }

  /**
   * Reads every bitmap into memory. For thousands of small bitmaps this takes four rounds of reads, including the two of `open`. A bitmap
   * that cannot be used, or that `beforeBits` refuses, has a problem instead of bits.
   * @throws {QdbError} LIMIT if all bits together take more than `maxBitmapBytes`; BAD_CHECKSUM if the header was read from the mirror and
   * `acceptMirror` is not set
   */
  async readAll(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<LoadedBitmap[]> {
    const { maxBitmapBytes } = this.#options;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    const digests = this.#digests;
    const accepted = this.#options;
    const loaded = await this.runWithRetry(function* (index) {
      refuseMirror(index, accepted);
      return yield* readAllPlan(index, digests, { ...options, ...bounds });
    }, options);
    return withoutRefused(loaded, accepted);
  }

  /**
   * Checks every rule of a file and yields every finding. Errors of the file are findings too, except for those that are thrown because
   * they keep the file from being checked. `beforeBits` is not called.
   * @throws {QdbError} what `checkPlan` throws; ABORTED if the signal is aborted; LOCKED if a writer commits during every attempt;
   * SOURCE_CHANGED if a writer commits after the first finding is yielded
   */
  static check(
    source: AnySource,
    options: OpenOptions & Pick<BitOptions, "onProgress"> = {},
  ): AsyncGenerator<Finding, CheckSummary> {
    return checkWithRetry(source, options);
  }

  /**
   * Yields the text of the JSON form (spec §6) in parts. A file of 8 MiB or less is read into memory as a whole before the first part is
   * yielded, so that a commit cannot end the call. `beforeBits` is not called, since the JSON form is a copy of what the file says.
   * @throws {QdbError} SOURCE_CHANGED if a writer commits after the first part is yielded
   */
  async *dump(options: RunOptions & DumpOptions & StreamOptions = {}): AsyncGenerator<string, DumpSummary> {
    const plan = (index: QdbIndex): Plan<DumpSummary, string> => dumpPlan(index, this.#digests, options);
    return yield* streamWithRetry(this.#views(options, true), plan, (text) => text.length, options);
  }

  /** Closes the source. */
  async close(): Promise<void> {
    await this.#source.close?.();
  }

  get #digests(): Digests {
    return this.#options.digests ?? {};
  }

  /** Runs a plan on one generation of the file. Starts over on the new generation if a writer commits meanwhile. @internal */
  async runWithRetry<T>(plan: (index: QdbIndex) => Plan<T> | Promise<Plan<T>>, options: RunOptions): Promise<T> {
    return runWithRetry(this.#views(options), plan, options);
  }

  /** Does what `runWithRetry` does, and yields the values that the plan puts out; see the function `streamWithRetry`. @internal */
  streamWithRetry<T, O>(
    plan: (index: QdbIndex) => Plan<T, O>,
    sizeOf: (value: O) => number,
    options: RunOptions & StreamOptions,
    permit: (index: QdbIndex) => Promise<void>,
  ): AsyncGenerator<O, T> {
    return streamWithRetry(this.#views(options), plan, sizeOf, options, permit);
  }

  /** Yields a view for each attempt: the first with the header and the table that were last read, the others with what is read anew. */
  async *#views({ signal = this.#options.signal }: RunOptions, whole = false): AsyncGenerator<OpenedView, void> {
    const options = { ...this.#options, ...(signal === undefined ? {} : { signal }) };
    const known = whole ? undefined : this.#index.opened.primary;
    for await (const view of fileViews(this.#source, options, { known, whole })) {
      const index = view.primary === known ? this.#index : await openView(view, options);
      if (index === undefined) continue;
      this.#index = index;
      yield { index, view };
    }
  }

  /** The options with which the file was opened. @internal */
  get options(): OpenOptions {
    return this.#options;
  }
}

/**
 * A bitmap of an open file. Its L1 area and its data are read by the calls, not before. `extents`, `count` and `read` give out bits: each
 * calls `beforeBits` of the options of the file before it does, and throws what `beforeBits` throws. Each also throws the code of the
 * bitmap's first problem (spec §7) if its bits cannot be used, BAD_CHECKSUM if a data cluster does not match its checksum, NOT_FOUND if the
 * bitmap is not in the file any more, and what `QdbFile.open` throws.
 */
export class StoredBitmap {
  readonly #file: QdbFile;
  readonly entry: BitmapEntry;

  /** @internal */
  constructor(file: QdbFile, entry: BitmapEntry) {
    this.#file = file;
    this.entry = entry;
  }

  /** The name; undefined if it is not UTF-8. */
  get name(): string | undefined {
    return this.entry.name;
  }

  /** Size of the tracked disk in bytes, and granularity in bytes per bit. */
  get shape(): BitmapShape {
    return this.entry.decodeShape();
  }

  /**
   * Yields the dirty extents in ascending order, in batches.
   * @throws {QdbError} USAGE if `within` is not inside the disk; BAD_CHECKSUM if the header was read from the mirror and `acceptMirror` is
   * not set; SOURCE_CHANGED if a writer commits after the first batch is yielded; see also {@link StoredBitmap}
   */
  async *extents(options: CallOptions & StreamOptions = {}): AsyncGenerator<ExtentBatch, void> {
    const { entry } = this;
    const accepted = this.#file.options;
    const { digests } = accepted;
    const plan = function* (index: QdbIndex): Plan<void, ExtentBatch> {
      refuseMirror(index, accepted, entry.label);
      yield* extentsPlan(yield* readMap(index, sameBitmap(index, entry), digests), options);
    };
    const permit = (index: QdbIndex): Promise<void> => askBeforeBits(accepted, sameBitmap(index, entry));
    yield* this.#file.streamWithRetry(plan, ({ runs }) => runs.byteLength, options, permit);
  }

  /** Counts the dirty bits and bytes of the disk, or of the range `within`. @throws {QdbError} USAGE if `within` is not inside the disk */
  async count(options: CallOptions = {}): Promise<DirtyCount> {
    const { digests } = this.#file.options;
    return this.#read(function* (index, same) {
      return yield* countPlan(yield* readMap(index, same, digests), options);
    }, options);
  }

  /**
   * Reads all bits into memory. There is no option `within`, since bits outside that range would look clean.
   * @throws {QdbError} LIMIT if the bits take more than `maxBitmapBytes`; BAD_CHECKSUM if the header was read from the mirror and
   * `acceptMirror` is not set; see also {@link StoredBitmap}
   */
  async read(options: Omit<CallOptions, "within"> = {}): Promise<Bitmap> {
    const accepted = this.#file.options;
    const { digests, maxBitmapBytes } = accepted;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    return this.#read(function* (index, same) {
      refuseMirror(index, accepted, same.label);
      return yield* bitmapPlan(yield* readMap(index, same, digests), { ...options, ...bounds });
    }, options);
  }

  /** Runs a plan on one generation of the file, with the table entry of this bitmap. Calls `beforeBits` before it returns the result. */
  async #read<T>(plan: (index: QdbIndex, same: BitmapEntry) => Plan<T>, options: RunOptions): Promise<T> {
    const { entry } = this;
    const { result, same } = await this.#file.runWithRetry(function* (index) {
      const found = sameBitmap(index, entry);
      return { result: yield* plan(index, found), same: found };
    }, options);
    await askBeforeBits(this.#file.options, same);
    return result;
  }
}

/**
 * Returns the entry in the table of `index` that is of the same bitmap as `entry`: `entry` itself if the table was not read anew, otherwise
 * the entry with the same name.
 * @throws {QdbError} NOT_FOUND if the bitmap is not in the file any more
 */
function sameBitmap(index: QdbIndex, entry: BitmapEntry): BitmapEntry {
  const same = index.table.entries[entry.index];
  if (same === entry) return entry;
  // A name that is not UTF-8 cannot be looked up, and another bitmap may be at the index of `entry` now.
  if (entry.name === undefined)
    throw new QdbError("NOT_FOUND", "there is no such bitmap in the file any more", { bitmap: entry.label });
  return findBitmap(index, entry.name);
}
