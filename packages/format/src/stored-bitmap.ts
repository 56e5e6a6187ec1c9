import type { ExtentBatch } from "./bitmap/runs.ts";
import type { Extent } from "./bitmap/shape.ts";
import type { DirtyCount } from "./bits/read-bits.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import { runTask, streamTask } from "./ports/task.ts";
import { batchesOf, type CallOptions, countOf } from "./read-stored.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { QdbReader } from "./retry/qdb-reader.ts";
import type { StreamOptions } from "./retry/run-with-retry.ts";
import { StoredBitmapFields } from "./stored-bitmap-fields.ts";

/**
 * A bitmap of an open file. Its fields are those of the bitmap table when the handle was made by `QdbFile.bitmap` or `QdbFile.bitmaps`;
 * they read nothing. Its L1 area and its data are read by the calls.
 *
 * `extents`, `batches`, `count` and the function `readBitmap` give out bits: each calls `beforeBits` of the options of the file before it does, and throws what
 * `beforeBits` throws. Each also throws the code of the bitmap's first problem (spec §7) if its bits cannot be used, BAD_CHECKSUM if a data
 * cluster does not match its checksum, NOT_FOUND if the bitmap is not in the file any more, and what `QdbFile.open` throws.
 *
 * A bitmap has the properties of a `BitmapShape`, so that `Bitmap.clean(file.bitmap("daily"))` makes an empty one of the same shape.
 */
export class StoredBitmap extends StoredBitmapFields {
  /** What functions such as `readBitmap` read the file by. @internal */
  readonly reader: QdbReader;

  private constructor(reader: QdbReader, index: QdbIndex, entry: BitmapEntry) {
    super(index, entry);
    this.reader = reader;
  }

  /** Makes the handle on the bitmap of an entry in the table of `index`. @internal */
  static of(reader: QdbReader, index: QdbIndex, entry: BitmapEntry): StoredBitmap {
    return new StoredBitmap(reader, index, entry);
  }

  /**
   * Yields the dirty extents in ascending order, no two of them adjacent. With `within`, they are clipped to that range of the disk.
   *
   * Breaking off the loop is cheap: no more is read then, and what was read ahead is `holdBytes`, 256 KiB of bits by default. Offset and length
   * are bigints, for which `JSON.stringify` throws: convert them by `String`, or by `Number` if the disk is shorter than 2^53 bytes.
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
  batches(options: CallOptions & StreamOptions = {}): AsyncGenerator<ExtentBatch, void> {
    return streamTask(batchesOf(this.reader, this.entry, options));
  }

  /** Counts the dirty bits and bytes of the disk, or of the range `within`. @throws {QdbError} USAGE if `within` is not inside the disk */
  async count(options: CallOptions = {}): Promise<DirtyCount> {
    return runTask(countOf(this.reader, this.entry, options));
  }
}
