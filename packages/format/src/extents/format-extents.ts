import { Bitmap } from "../bitmap/bitmap.ts";
import type { ExtentBatch } from "../bitmap/runs.ts";
import type { BitmapShape, DiskRange } from "../bitmap/shape.ts";
import { exactInteger } from "../integers.ts";
import type { AbortSignalLike } from "../ports/abort-signal.ts";
import { LongCall } from "../ports/long-call.ts";
import { ExtentPrinter } from "./extent-printer.ts";

/** What has extents to format: a `Bitmap`, or a `StoredBitmap` of an open file. */
export interface ExtentsSource extends BitmapShape {
  /** Returns the dirty extents in `within`, in ascending order. */
  batches(options: {
    readonly within: DiskRange;
    readonly signal?: AbortSignalLike | undefined;
  }): Iterable<ExtentBatch> | AsyncIterable<ExtentBatch>;
}

/** Options of {@link formatExtents}. */
export interface FormatOptions {
  /** `json` (the default): the JSON that `nbdinfo --map --json` prints; `human`: its table. */
  readonly format?: "json" | "human" | undefined;
  /** A range of the disk in bytes. Extents are clipped to it. The default is the whole disk. */
  readonly within?: DiskRange | undefined;
  /** Makes the call fail with ABORTED after the signal is aborted. */
  readonly signal?: AbortSignalLike | undefined;
}

/**
 * Yields the extents of a bitmap, dirty and clean in turn, covering the disk or `within`, as text in the format of `nbdinfo --map`, which
 * `qdb map` and `readExtentMap` share: UTF-8 in chunks of up to 256 KiB. Numbers in JSON are exact at any size, also above 2^53, which
 * `JSON.parse` would round.
 *
 * Text that was yielded cannot be taken back. If an error follows, the array of the JSON is not closed, so no parser takes it for a whole
 * one; of the table the last lines are missing.
 * @throws {QdbError} USAGE if `within` is not inside the disk; ABORTED if the signal is aborted; what reading the bitmap throws
 * @example
 * for await (const chunk of formatExtents(file.bitmap("daily"))) response.write(chunk);
 */
export async function* formatExtents(
  bitmap: ExtentsSource,
  options: FormatOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const { format = "json", within = { offset: 0, length: bitmap.size }, signal } = options;
  const call = new LongCall({ signal });
  const chunks: Uint8Array[] = [];
  const start = exactInteger(within.offset, "offset");
  const end = start + exactInteger(within.length, "length");
  // The bytes are copied, because the printer uses its buffer again.
  const printer = new ExtentPrinter((bytes) => void chunks.push(bytes.slice()), bitmap, { format, start, end });
  // The caller may change a bitmap in memory between two chunks.
  const source = bitmap instanceof Bitmap ? bitmap.clone() : bitmap;
  try {
    call.checkSignal();
    for await (const batch of source.batches(signal === undefined ? { within } : { within, signal })) {
      printer.push(batch);
      yield* chunks.splice(0);
      const pause = call.step(0, 0);
      if (pause !== undefined) await pause;
    }
  } finally {
    if (source instanceof Bitmap) source.free();
  }
  printer.finish();
  yield* chunks;
}
