import type { Bitmap } from "../bitmap/bitmap.ts";
import type { ExtentBatch } from "../bitmap/runs.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import { QdbError } from "../errors.ts";
import type { Limits } from "../limits.ts";
import type { Digests } from "../ports/digest.ts";
import { type Plan, type RunOptions, run, stream } from "../ports/plan.ts";
import type { AnySource } from "../ports/source.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { type BitOptions, bitmapPlan, countPlan, type DirtyCount, extentsPlan } from "./bits.ts";
import type { CheckSummary, Finding } from "./check.ts";
import { type DumpOptions, type DumpSummary, dumpPlan } from "./json-write.ts";
import { readMap } from "./maps.ts";
import { findBitmap, type QdbIndex } from "./qdb-index.ts";
import { type CountedBitmap, countAllPlan, type LoadedBitmap, readAllPlan } from "./read-all.ts";
import { busy, checkStable, isUnchanged, MAX_ATTEMPTS, openStable, sourceChanged } from "./stable.ts";

/** What opening takes: checksums of the host, bounds, a signal. */
export interface OpenOptions extends RunOptions, Limits {
  readonly digests?: Digests;
}

/** What a long call over a bitmap takes. */
export type CallOptions = RunOptions & BitOptions;

/**
 * A QDB file to be read. It takes no lock; when a writer commits meanwhile, calls start over on the new state, and what has
 * put something out already ends with SOURCE_CHANGED (spec §5, Readers).
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
   * Every bitmap in memory: with opening, four rounds for thousands of small ones. One in error has its problem in place of its bits.
   * @throws {QdbError} ABORTED; LIMIT when all bits together take more than `maxBitmapBytes`
   */
  async readAll(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<LoadedBitmap[]> {
    const { maxBitmapBytes } = this.#options;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    return this.runStable((index) => readAllPlan(index, this.#digests, { ...options, ...bounds }), options);
  }

  /** Looks at everything and gives every finding; throws only what keeps it from looking. @throws {QdbError} IO, ABORTED, LOCKED, SOURCE_CHANGED */
  static check(
    source: AnySource,
    options: OpenOptions & Pick<BitOptions, "onProgress"> = {},
  ): AsyncGenerator<Finding, CheckSummary> {
    return checkStable(source, options);
  }

  /** The JSON form (spec §6) in pieces of text. @throws {QdbError} SOURCE_CHANGED when a commit came in between */
  async *dump(options: RunOptions & DumpOptions = {}): AsyncGenerator<string, DumpSummary> {
    return yield* this.streamStable((index) => dumpPlan(index, this.#digests, options), options);
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
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      let result: { value: T } | { error: unknown };
      try {
        result = { value: await run(plan(this.#index), this.#source, options) };
      } catch (error) {
        result = { error };
      }
      if (await isUnchanged(this.#source, this.#index.opened.primary, options)) {
        if ("error" in result) throw result.error;
        return result.value;
      }
      this.#index = await openStable(this.#source, this.#options);
    }
    throw busy();
  }

  /** The same for a plan that puts out: what has left cannot be taken back. @internal */
  async *streamStable<T, O>(plan: (index: QdbIndex) => Plan<T, O>, options: RunOptions): AsyncGenerator<O, T> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      let put = false;
      let result: { value: T } | { error: unknown };
      try {
        const steps = stream(plan(this.#index), this.#source, options);
        for (;;) {
          const step = await steps.next();
          if (step.done === true) {
            result = { value: step.value };
            break;
          }
          // A commit since the file was opened shows before the first output leaves, and then only costs another attempt.
          if (!put && !(await isUnchanged(this.#source, this.#index.opened.primary, options))) {
            result = { error: sourceChanged() };
            break;
          }
          put = true;
          yield step.value;
        }
      } catch (error) {
        result = { error };
      }
      if (await isUnchanged(this.#source, this.#index.opened.primary, options)) {
        if ("error" in result) throw result.error;
        return result.value;
      }
      if (put) throw sourceChanged();
      this.#index = await openStable(this.#source, this.#options);
    }
    throw busy();
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
    const { size, granularity } = this.entry.fields;
    return { size, granularity };
  }

  /** The dirty extents in ascending order, in batches. @throws {QdbError} the bitmap's problem, BAD_CHECKSUM, ABORTED, SOURCE_CHANGED; USAGE for a range outside the disk */
  async *extents(options: CallOptions = {}): AsyncGenerator<ExtentBatch, void> {
    const { entry } = this;
    const digests = this.#file.options.digests;
    yield* this.#file.streamStable(function* (index) {
      yield* extentsPlan(yield* readMap(index, sameBitmap(index, entry), digests), options);
    }, options);
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
    const { digests, maxBitmapBytes } = this.#file.options;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    return this.#file.runStable(function* (index) {
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
