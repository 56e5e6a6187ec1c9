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

/** Options of opening a file: checksums of the host, limits, a signal, and which bits are refused. */
export interface OpenOptions extends RunOptions, Limits, MirrorOptions, BitsOptions {
  readonly digests?: Digests;
  /** Clock for the pauses between two attempts to read beside a writer; that of the host unless given. */
  readonly clock?: Clock;
  /** Called each time the file was opened by the mirror of its header, because the primary is damaged. */
  readonly onMirror?: (index: QdbIndex) => void;
}

/** Options of a call that reads the bits of a bitmap. */
export type CallOptions = RunOptions & BitOptions;

/**
 * A QDB file open for reading, without a lock. When a writer commits while a call reads, the call starts over on the new state; after ten
 * seconds of that it fails with LOCKED. A call that has put out a part of its output fails with SOURCE_CHANGED (spec §5, Readers).
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
    return new QdbFile(source, options, await openWithRetry(source, options));
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

  /**
   * Counts the dirty bits of every bitmap, as a fact about the file: `beforeBits` is not called. A bitmap that cannot be used has a
   * problem in place of a count.
   * @throws {QdbError} ABORTED, LOCKED
   */
  async count(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<CountedBitmap[]> {
    return this.runWithRetry((index) => countAllPlan(index, this.#digests, options.onProgress), options);
  }

  /**
   * Shows the dirty extents of every bitmap to a visitor, and returns the bitmaps. A bitmap that cannot be used has a problem; the others
   * are shown all the same. `begin` makes the visitor. When a writer commits meanwhile, `begin` is called again for the new state, and
   * what the earlier visitor received is void. A bitmap that `beforeBits` refuses has its error as the problem, and none of its extents are
   * shown. Memory stays within the bounds of spec §7.4, apart from what the visitor keeps.
   * @throws {QdbError} ABORTED; BAD_CHECKSUM where the mirror was used and is not accepted
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
        // Added last: a problem of the bitmap itself comes before that of its disk (QDB-ERR-025).
        if (refusal !== undefined && bitmap.usableMap !== undefined) bitmap.addDataProblem(refusal);
      }
      return mapped;
    };
    return this.runWithRetry(async (index) => plan(index, await refusalsOf(index, accepted)), options);
  }

  /**
   * Reads every bitmap into memory. Thousands of small bitmaps take four rounds of reads, opening included. A bitmap that cannot be used,
   * or that `beforeBits` refuses, has its problem in place of its bits.
   * @throws {QdbError} ABORTED; LIMIT when all bits together take more than `maxBitmapBytes`; BAD_CHECKSUM where the mirror was used and is
   * not accepted
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
   * Checks every rule of a file and yields every finding. `beforeBits` is not called. Throws only what keeps the check from going on.
   * @throws {QdbError} IO, ABORTED, LOCKED, SOURCE_CHANGED
   */
  static check(
    source: AnySource,
    options: OpenOptions & Pick<BitOptions, "onProgress"> = {},
  ): AsyncGenerator<Finding, CheckSummary> {
    return checkWithRetry(source, options);
  }

  /**
   * Yields the JSON form (spec §6) in pieces of text. A file of 8 MiB or less is read whole before the first piece of text, so that no
   * commit can end the call. `beforeBits` is not called: the form says all that the file says.
   * @throws {QdbError} LOCKED; SOURCE_CHANGED when a writer commits after the first piece
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

  /** Runs a plan on the present state of the file, again when a writer committed meanwhile. @internal */
  async runWithRetry<T>(plan: (index: QdbIndex) => Plan<T> | Promise<Plan<T>>, options: RunOptions): Promise<T> {
    return runWithRetry(this.#views(options), plan, options);
  }

  /** Does the same with a plan that puts out values of `sizeOf` bytes, after `permit` has returned. @internal */
  streamWithRetry<T, O>(
    plan: (index: QdbIndex) => Plan<T, O>,
    sizeOf: (value: O) => number,
    options: RunOptions & StreamOptions,
    permit: (index: QdbIndex) => Promise<void>,
  ): AsyncGenerator<O, T> {
    return streamWithRetry(this.#views(options), plan, sizeOf, options, permit);
  }

  /** Yields a view for each attempt: first of the state that was read last, then of the present state. */
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

  /** Options with which the file was opened. @internal */
  get options(): OpenOptions {
    return this.#options;
  }
}

/**
 * One bitmap of a file. `extents`, `count` and `read` give out bits: each calls `beforeBits` of the file's options first, and throws what
 * it throws.
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

  /** Size of the disk in bytes, and granularity in bytes per bit. */
  get shape(): BitmapShape {
    const { size, granularity } = this.entry.decodeFields();
    return { size, granularity };
  }

  /**
   * Yields the dirty extents in ascending order, in batches.
   * @throws {QdbError} the bitmap's problem, BAD_CHECKSUM, ABORTED, SOURCE_CHANGED; USAGE for a range outside the disk
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

  /**
   * Counts the dirty bits, and the bytes of the disk, or of `within`, that they stand for.
   * @throws {QdbError} the bitmap's problem, BAD_CHECKSUM, ABORTED; USAGE for a range outside the disk
   */
  async count(options: CallOptions = {}): Promise<DirtyCount> {
    const { digests } = this.#file.options;
    return this.#read(function* (index, same) {
      return yield* countPlan(yield* readMap(index, same, digests), options);
    }, options);
  }

  /**
   * Reads all bits into memory. There is no option `within`: the bits outside of it would look clean.
   * @throws {QdbError} the bitmap's problem, BAD_CHECKSUM, ABORTED; LIMIT above `maxBitmapBytes`
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

  /** Runs a plan on this bitmap's entry in the present state of the file, then asks whether the result may be given out. */
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

/** The entry of the same bitmap in the state that was read last: the same object if the state is the same, else the entry of its name. */
function sameBitmap(index: QdbIndex, entry: BitmapEntry): BitmapEntry {
  const same = index.table.entries[entry.index];
  if (same === entry) return entry;
  // A name that is not UTF-8 cannot be looked up, and another bitmap may have its index now.
  if (entry.name === undefined)
    throw new QdbError("NOT_FOUND", "there is no such bitmap in the file any more", { bitmap: entry.label });
  return findBitmap(index, entry.name);
}
