// An open file as its readers see it: plans are run on one generation of it, and start over if a writer commits meanwhile.
import type { Limits } from "../limits.ts";
import { readMap } from "../maps/load-maps.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import type { BitsOptions } from "../open/before-bits.ts";
import type { AreaRead } from "../open/choose-header.ts";
import type { MirrorOptions } from "../open/header-source.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Digests } from "../ports/digest.ts";
import type { RunOptions } from "../ports/drivers.ts";
import type { Plan } from "../ports/plan.ts";
import type { AnySource } from "../ports/source.ts";
import type { Task, Timing } from "../ports/task.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { FileViews, type OpenedView, openView, openWithRetry, type RetryOptions } from "./file-views.ts";
import { type IndexedViews, type Permit, runWithRetry, type StreamOptions, streamWithRetry } from "./run-with-retry.ts";

/** Options of opening a file, which also apply to the calls on the open file. */
export interface OpenOptions extends RetryOptions, Limits, MirrorOptions, BitsOptions {}

/** The source of an open file, the options with which it was opened, and header and table as they were last read. */
export class QdbReader {
  readonly options: OpenOptions;
  readonly timing: Timing;
  readonly #source: AnySource;
  #index: QdbIndex;
  /** The map of the bitmap that was read last, for its entry in the table. */
  #map: QdbClusterMap | undefined;

  private constructor(timing: Timing, source: AnySource, options: OpenOptions, index: QdbIndex) {
    this.timing = timing;
    this.#source = source;
    this.options = options;
    this.#index = index;
  }

  /**
   * Reads header and table of a file.
   * @throws {QdbError} the code of the first error of the file (spec §7); IO, SHORT_READ if header or table cannot be read; ABORTED if the
   * signal is aborted; LOCKED if a writer commits during every attempt
   */
  static *open(timing: Timing, source: AnySource, options: OpenOptions): Task<QdbReader> {
    return new QdbReader(timing, source, options, yield* openWithRetry(timing, source, options));
  }

  /** Header, extensions and table, as they were last read. */
  get index(): QdbIndex {
    return this.#index;
  }

  /** Whether the source is synchronous. */
  get isSync(): boolean {
    return "readSync" in this.#source;
  }

  get digests(): Digests {
    return this.options.digests ?? {};
  }

  /**
   * Reads the L1 area of a bitmap of `index` and returns its cluster map, as the function `readMap` does. The map of the bitmap that was
   * read last is kept: an L1 area can have 12 MiB, and pages of extents need it each time. A generation never changes, and whether it is
   * still that of the file is found out at the end of each call.
   */
  *readMap(index: QdbIndex, entry: BitmapEntry): Plan<QdbClusterMap> {
    if (this.#map?.entry !== entry) this.#map = yield* readMap(index, entry, this.digests);
    return this.#map;
  }

  /** Runs a plan on one generation of the file. Starts over on the new generation if a writer commits meanwhile. */
  run<T>(plan: (index: QdbIndex) => Plan<T> | Promise<Plan<T>>, options: RunOptions): Task<T> {
    return runWithRetry(this.#views(options, false), plan, this.#ofCall(options));
  }

  /**
   * Does what `run` does, and yields the values that the plan puts out; see {@link streamWithRetry}. With `whole`, the plan reads
   * all of the file, and a small file is read into memory first.
   */
  stream<T, O>(
    plan: (index: QdbIndex) => Plan<T, O>,
    sizeOf: (value: O) => number,
    { whole = false, permit, holdBytes, ...options }: RunOptions & StreamOptions & StreamingOptions,
  ): Task<T, O> {
    const ofCall = { ...this.#ofCall(options), holdBytes };
    return streamWithRetry(this.#views(options, whole), plan, sizeOf, ofCall, permit);
  }

  /** Closes the source. */
  close(): void | Promise<void> {
    return this.#source.close?.();
  }

  /** The options of a call. A signal that the call does not have is that of the file. */
  #ofCall({ signal = this.options.signal }: RunOptions): RunOptions {
    return signal === undefined ? {} : { signal };
  }

  /** Returns a view for each attempt: the first with the header and the table that were last read, the others with what is read anew. */
  #views(call: RunOptions, whole: boolean): IndexedViews<QdbIndex> {
    const options = { ...this.options, ...this.#ofCall(call) };
    const known = whole ? undefined : this.#index.opened.primary;
    const views = new FileViews(this.timing, this.#source, options, { known, whole });
    return { timing: this.timing, next: () => this.#nextView(views, known, options) };
  }

  *#nextView(views: FileViews, known: AreaRead | undefined, options: OpenOptions): Task<OpenedView | undefined> {
    for (let view = yield* views.next(); view !== undefined; view = yield* views.next()) {
      const index = view.primary === known ? this.#index : yield* openView(this.timing, view, options);
      if (index === undefined) continue;
      this.#index = index;
      return { index, view };
    }
    return undefined;
  }
}

/** How {@link QdbReader.stream} reads. */
interface StreamingOptions {
  readonly whole?: boolean;
  /** Called before the first value is yielded; see {@link streamWithRetry}. */
  readonly permit?: Permit<QdbIndex>;
}
