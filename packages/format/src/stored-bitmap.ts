import type { Bitmap } from "./bitmap/bitmap.ts";
import type { ExtentBatch } from "./bitmap/runs.ts";
import type { BitmapShape, Extent } from "./bitmap/shape.ts";
import { type BitOptions, bitmapPlan, countPlan, type DirtyCount, extentsPlan } from "./bits/read-bits.ts";
import { type Problem, QdbError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import { readMap } from "./maps/load-maps.ts";
import { askBeforeBits } from "./open/before-bits.ts";
import { type BitmapState, bitmapState } from "./open/bitmap-state.ts";
import { refuseMirror } from "./open/header-source.ts";
import { findBitmap, type QdbIndex } from "./open/qdb-index.ts";
import type { RunOptions } from "./ports/drivers.ts";
import type { Plan } from "./ports/plan.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { DiskStamp } from "./records/extra-data.ts";
import { type KnownRecords, knownRecords } from "./records/known-records.ts";
import type { QdbReader } from "./retry/qdb-reader.ts";
import type { StreamOptions } from "./retry/run-with-retry.ts";

/** Options of a call that reads the bits of a bitmap. */
export type CallOptions = RunOptions & BitOptions;

/**
 * A bitmap of an open file. Its fields are those of the bitmap table when the handle was made by `QdbFile.bitmap` or `QdbFile.bitmaps`;
 * they read nothing. Its L1 area and its data are read by the calls.
 *
 * `extents`, `batches`, `count` and `read` give out bits: each calls `beforeBits` of the options of the file before it does, and throws what
 * `beforeBits` throws. Each also throws the code of the bitmap's first problem (spec §7) if its bits cannot be used, BAD_CHECKSUM if a data
 * cluster does not match its checksum, NOT_FOUND if the bitmap is not in the file any more, and what `QdbFile.open` throws.
 *
 * A bitmap has the properties of a `BitmapShape`, so that `Bitmap.clean(file.bitmap("daily"))` makes an empty one of the same shape.
 */
export class StoredBitmap implements BitmapShape {
  readonly #file: QdbReader;
  readonly #index: QdbIndex;
  readonly entry: BitmapEntry;

  private constructor(file: QdbReader, index: QdbIndex, entry: BitmapEntry) {
    this.#file = file;
    this.#index = index;
    this.entry = entry;
  }

  /** Makes the handle on the bitmap of an entry in the table of `index`. @internal */
  static of(file: QdbReader, index: QdbIndex, entry: BitmapEntry): StoredBitmap {
    return new StoredBitmap(file, index, entry);
  }

  /** The name; undefined if it is not UTF-8. */
  get name(): string | undefined {
    return this.entry.name;
  }

  /** The name for messages and lists; if it is not UTF-8, `hex:` and its bytes in hex. It can hold any character: escape it by `quote`. */
  get label(): string {
    return this.entry.label;
  }

  /** Length of the tracked disk in bytes, 0..2^63-1. */
  get size(): bigint {
    return this.entry.decodeFields().size;
  }

  /** Bytes of the disk per bit: a power of two, 512..2^31. Any number if the bitmap has a problem. */
  get granularity(): number {
    return this.entry.decodeFields().granularity;
  }

  /** Whether the bitmap collects writes (flag enabled). */
  get enabled(): boolean {
    return this.entry.has("enabled");
  }

  /** Whether a collector has the true bits, or had them when it was killed (flag in_use). The bits in the file cannot be used then. */
  get inUse(): boolean {
    return this.entry.has("in_use");
  }

  /** Whether the period of the bitmap has ended and is being backed up (flag frozen); its successor collects meanwhile. */
  get frozen(): boolean {
    return this.entry.has("frozen");
  }

  /**
   * The first problem of the table entry, in the order of spec §7; undefined if there is none. The bits cannot be used then. Damage of the
   * L1 area or of the data is found by the calls that read them, and by `checkQdb`.
   */
  get problem(): Problem | undefined {
    return this.#index.problems.get(this.entry.index);
  }

  /** The state that flags and table entry show; see {@link problem}. */
  get state(): BitmapState {
    return bitmapState(this.entry, this.problem);
  }

  /** Path or name of the tracked disk (record 1); undefined if none is recorded. */
  get disk(): string | undefined {
    return this.#records.disk;
  }

  /** The disk when the bitmap was last stored without in_use (record 2); undefined if none is recorded, or if the record is broken. */
  get diskStamp(): DiskStamp | undefined {
    return this.#records.stamp;
  }

  /** Id of the bitmap, a UUID (record 3). */
  get id(): string | undefined {
    return this.#records.id;
  }

  /** Id of the bitmap that this one continues, a UUID (record 4). */
  get parent(): string | undefined {
    return this.#records.parent;
  }

  /** When the bitmap was created, in nanoseconds since the Unix epoch (record 5). */
  get created(): bigint | undefined {
    return this.#records.created;
  }

  /** The comment (record 6). */
  get comment(): string | undefined {
    return this.#records.comment;
  }

  /** Name of the bitmap that collects while this one is frozen (record 8). */
  get successor(): string | undefined {
    return this.#records.successor;
  }

  /** The records, decoded anew: a file can have 65,535 bitmaps. */
  get #records(): KnownRecords {
    return knownRecords(this.entry);
  }

  /**
   * Yields the dirty extents in ascending order, no two of them adjacent. With `within`, they are clipped to that range of the disk.
   * @throws {QdbError} USAGE if `within` is not inside the disk; BAD_CHECKSUM if the header was read from the mirror and `acceptMirror` is
   * not set; SOURCE_CHANGED if a writer commits after the first extent is yielded; see also {@link StoredBitmap}
   * @example
   * for await (const { offset, length } of file.bitmap("daily").extents()) await backUp(offset, length);
   */
  async *extents(options: CallOptions & StreamOptions = {}): AsyncGenerator<Extent, void> {
    for await (const batch of this.batches(options)) for (const extent of batch.rangesBig()) yield extent;
  }

  /**
   * Yields the same extents as {@link extents}, in batches of typed arrays. This takes a tenth of the time.
   * @throws {QdbError} as {@link extents}
   */
  async *batches(options: CallOptions & StreamOptions = {}): AsyncGenerator<ExtentBatch, void> {
    const { entry } = this;
    const file = this.#file;
    const plan = function* (index: QdbIndex): Plan<void, ExtentBatch> {
      refuseMirror(index, file.options, entry.label);
      yield* extentsPlan(yield* readMap(index, sameBitmap(index, entry), file.digests), options);
    };
    const permit = (index: QdbIndex): Promise<void> => askBeforeBits(file.options, sameBitmap(index, entry));
    yield* file.stream(plan, ({ runs }) => runs.byteLength, { ...options, permit });
  }

  /** Counts the dirty bits and bytes of the disk, or of the range `within`. @throws {QdbError} USAGE if `within` is not inside the disk */
  async count(options: CallOptions = {}): Promise<DirtyCount> {
    const { digests } = this.#file;
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
    const { digests, options: accepted } = this.#file;
    const { maxBitmapBytes } = accepted;
    const bounds: Limits = maxBitmapBytes === undefined ? {} : { maxBitmapBytes };
    return this.#read(function* (index, same) {
      refuseMirror(index, accepted, same.label);
      return yield* bitmapPlan(yield* readMap(index, same, digests), { ...options, ...bounds });
    }, options);
  }

  /** Runs a plan on one generation of the file, with the table entry of this bitmap. Calls `beforeBits` before it returns the result. */
  async #read<T>(plan: (index: QdbIndex, same: BitmapEntry) => Plan<T>, options: RunOptions): Promise<T> {
    const { entry } = this;
    const { result, same } = await this.#file.run(function* (index) {
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
