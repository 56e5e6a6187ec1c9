import type { BitOptions } from "./bits/read-bits.ts";
import type { CheckSummary, Finding } from "./check/check.ts";
import type { Problem } from "./errors.ts";
import { type DumpOptions, type DumpSummary, dumpPlan } from "./json/dump.ts";
import type { Limits } from "./limits.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import { refuseMirror } from "./open/header-source.ts";
import { findBitmap, type QdbIndex } from "./open/qdb-index.ts";
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
import { FileReader, type OpenOptions } from "./retry/file-reader.ts";
import type { StreamOptions } from "./retry/run-with-retry.ts";
import { StoredBitmap } from "./stored-bitmap.ts";

/**
 * A QDB file that is open for reading. It takes no lock. If a writer commits during a call, the call starts over on the new generation. It
 * fails with LOCKED if that goes on for ten seconds, or with SOURCE_CHANGED if it has yielded a part of its output (spec §5, Readers).
 * Since each call may read header and table anew, each can also throw what `open` throws.
 */
export class QdbFile {
  readonly #reader: FileReader;

  private constructor(reader: FileReader) {
    this.#reader = reader;
  }

  /**
   * Opens a file: reads header and bitmap table.
   * @throws {QdbError} the code of the first error of the file (spec §7); IO, SHORT_READ if header or table cannot be read; ABORTED if the
   * signal is aborted; LOCKED if a writer commits during every attempt
   */
  static async open(source: AnySource, options: OpenOptions = {}): Promise<QdbFile> {
    return new QdbFile(await FileReader.open(source, options));
  }

  /** Header, extensions and table, as they were last read. */
  get index(): QdbIndex {
    return this.#reader.index;
  }

  /** The bitmaps in the order of the table. */
  get bitmaps(): readonly StoredBitmap[] {
    const { index } = this;
    return index.table.entries.map((entry) => new StoredBitmap(this.#reader, index, entry));
  }

  /** Returns the bitmap with a name. @throws {QdbError} NOT_FOUND if no bitmap has it; DUPLICATE_NAME if several have it */
  bitmap(name: string): StoredBitmap {
    const { index } = this;
    return new StoredBitmap(this.#reader, index, findBitmap(index, name));
  }

  /**
   * Counts the dirty bits of every bitmap. A bitmap that cannot be used has a problem instead of a count. `beforeBits` is not called, since
   * a count says something of the file and gives out no bits.
   */
  async count(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<CountedBitmap[]> {
    return this.#reader.run((index) => countAllPlan(index, this.#reader.digests, options.onProgress), options);
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
    const digests = this.#reader.digests;
    const accepted = this.#reader.options;
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
    return this.#reader.run(async (index) => plan(index, await refusalsOf(index, accepted)), options);
  }

  /**
   * Reads every bitmap into memory. For thousands of small bitmaps this takes four rounds of reads, including the two of `open`. A bitmap
   * that cannot be used, or that `beforeBits` refuses, has a problem instead of bits.
   * @throws {QdbError} LIMIT if all bits together take more than `maxBitmapBytes`; BAD_CHECKSUM if the header was read from the mirror and
   * `acceptMirror` is not set
   */
  async readAll(options: RunOptions & Pick<BitOptions, "onProgress"> = {}): Promise<LoadedBitmap[]> {
    const { maxBitmapBytes } = this.#reader.options;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    const digests = this.#reader.digests;
    const accepted = this.#reader.options;
    const loaded = await this.#reader.run(function* (index) {
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
    const plan = (index: QdbIndex): Plan<DumpSummary, string> => dumpPlan(index, this.#reader.digests, options);
    return yield* this.#reader.stream(plan, (text) => text.length, { ...options, whole: true });
  }

  /** Closes the source. A source of `@qdb/io-node` may be closed twice. */
  async close(): Promise<void> {
    await this.#reader.close();
  }

  /** Closes the source, at the end of the block of an `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
