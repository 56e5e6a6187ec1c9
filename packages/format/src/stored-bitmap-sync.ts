import type { ExtentBatch } from "./bitmap/runs.ts";
import type { Extent } from "./bitmap/shape.ts";
import type { DirtyCount } from "./bits/read-bits.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import { runTaskSync, streamTaskSync } from "./ports/task.ts";
import { batchesOf, type CallOptions, countOf } from "./read-stored.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { QdbReader } from "./retry/qdb-reader.ts";
import type { StreamOptions } from "./retry/run-with-retry.ts";
import { StoredBitmapFields } from "./stored-bitmap-fields.ts";

/** A bitmap of an open {@link QdbFileSync}. It does what `StoredBitmap` does, and throws the same errors; its calls block the thread. */
export class StoredBitmapSync extends StoredBitmapFields {
  /** What `readBitmapSync` reads the file by. @internal */
  readonly reader: QdbReader;

  private constructor(reader: QdbReader, index: QdbIndex, entry: BitmapEntry) {
    super(index, entry);
    this.reader = reader;
  }

  /** Makes the handle on the bitmap of an entry in the table of `index`. @internal */
  static of(reader: QdbReader, index: QdbIndex, entry: BitmapEntry): StoredBitmapSync {
    return new StoredBitmapSync(reader, index, entry);
  }

  /**
   * Yields the dirty extents in ascending order, as `StoredBitmap.extents` does.
   * @throws {QdbError} as `StoredBitmap.extents`
   * @example
   * for (const { offset, length } of file.bitmap("daily").extents()) backUp(offset, length);
   */
  *extents(options: CallOptions & StreamOptions = {}): Generator<Extent, void> {
    for (const batch of this.batches(options)) yield* batch.rangesBig();
  }

  /** Yields the same extents in batches of typed arrays, as `StoredBitmap.batches` does. @throws {QdbError} as `StoredBitmap.extents` */
  batches(options: CallOptions & StreamOptions = {}): Generator<ExtentBatch, void> {
    return streamTaskSync(batchesOf(this.reader, this.entry, options));
  }

  /** Counts the dirty bits and bytes of the disk, or of the range `within`. @throws {QdbError} as `StoredBitmap.count` */
  count(options: CallOptions = {}): DirtyCount {
    return runTaskSync(countOf(this.reader, this.entry, options));
  }
}
