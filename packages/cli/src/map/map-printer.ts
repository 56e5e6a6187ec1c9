import type { BitmapShape, ExtentBatch } from "@qdb/format";
import { wordAt } from "@qdb/format/internal";
import type { Output } from "../shell/output.ts";
import {
  bigintWriter,
  HUMAN,
  JSON_LINES,
  type LineFormat,
  lineWriter,
  numberWriter,
  type PutLine,
} from "./map-lines.ts";

/** Size of the buffer in bytes. The lines of one batch fit into it. */
const BUFFER_SIZE = 4 * 1024 * 1024;
/** Maximum number of bytes that writing one line can touch: the line and the bytes after it that may be overwritten. */
const LINE_SIZE = 112;
/** Number of elements of `runs` that one call prints. V8 optimizes a function that is called often sooner than one long loop. */
const PIECE = 512;

/**
 * Prints dirty extents, which are pushed in ascending order, and the clean extents between them, in the table or the JSON of nbdinfo. Bytes
 * are written to the output when the buffer is full and when `flush` is called. Offsets and lengths are exact for disks of any size.
 */
export class MapPrinter {
  readonly #output: Pick<Output, "bytes">;
  readonly #format: LineFormat;
  readonly #granularity: number;
  /** The range of the disk that is printed: from `#start` up to but not including `#end`, in bytes. */
  readonly #start: bigint;
  readonly #end: bigint;
  /** Whether all offsets are below 2^53, and can be computed as numbers. */
  readonly #fits: boolean;
  readonly #bytes = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  readonly #put: PutLine<number>;
  readonly #putBig: PutLine<bigint>;
  #used = 0;
  #isEmpty = true;
  /** Offset on the disk up to which extents were printed, in bytes. */
  #at: bigint;

  /** Only extents from `start` up to but not including `end` are printed. Both are in bytes of the disk. */
  constructor(
    output: Pick<Output, "bytes">,
    format: "human" | "json",
    shape: BitmapShape,
    start: bigint = 0n,
    end: bigint = shape.size,
  ) {
    this.#output = output;
    this.#format = format === "json" ? JSON_LINES : HUMAN;
    this.#granularity = shape.granularity;
    this.#start = start;
    this.#end = end;
    this.#fits = end <= BigInt(Number.MAX_SAFE_INTEGER);
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    this.#put = lineWriter(view, this.#format, numberWriter(view, this.#format));
    this.#putBig = lineWriter(view, this.#format, bigintWriter(this.#bytes, this.#format));
    this.#at = start;
  }

  /** Prints a batch of dirty extents, and the clean extents before each. @throws {QdbError} IO */
  push(batch: ExtentBatch): void {
    const { runs } = batch;
    // Each run is two elements, and prints at most two lines. Room is kept for the last clean extent and the text at the end.
    if (this.#used + (runs.length + 2) * LINE_SIZE > BUFFER_SIZE) this.flush();
    if (!this.#fits) {
      for (const { offset, length } of batch.rangesBig()) this.#putRange(offset, offset + length);
    } else {
      for (let at = 0; at < runs.length; at += PIECE) this.#putRuns(runs.subarray(at, at + PIECE));
    }
    this.#markBegin();
  }

  /** Prints the clean extent after the last dirty one, and the text at the end. Call it after the last batch. */
  finish(): void {
    if (this.#at < this.#end) this.#putRange(this.#end, this.#end);
    this.#markBegin();
    this.#used += this.#bytes.write(this.#isEmpty ? this.#format.none : this.#format.end, this.#used, "latin1");
  }

  /** Writes what is in the buffer to the output. @throws {QdbError} IO */
  flush(): void {
    this.#output.bytes(this.#bytes.subarray(0, this.#used));
    this.#used = 0;
  }

  /** Prints dirty runs, given as the first and the last bit of each. All offsets must be below 2^53. */
  #putRuns(runs: Uint32Array): void {
    const put = this.#put;
    const granularity = this.#granularity;
    const start = Number(this.#start);
    const end = Number(this.#end);
    let used = this.#used;
    let at = Number(this.#at);
    for (let index = 0; index < runs.length; index += 2) {
      const dirtyStart = Math.max(start, wordAt(runs, index) * granularity);
      const dirtyEnd = Math.min(end, (wordAt(runs, index + 1) + 1) * granularity);
      if (dirtyStart > at) used = put(used, at, dirtyStart - at, false);
      used = put(used, dirtyStart, dirtyEnd - dirtyStart, true);
      at = dirtyEnd;
    }
    this.#used = used;
    this.#at = BigInt(at);
  }

  /** Prints the clean range before a dirty range, and the dirty range. An empty range is not printed. */
  #putRange(dirtyStart: bigint, dirtyEnd: bigint): void {
    if (dirtyStart > this.#at) this.#used = this.#putBig(this.#used, this.#at, dirtyStart - this.#at, false);
    if (dirtyEnd > dirtyStart) this.#used = this.#putBig(this.#used, dirtyStart, dirtyEnd - dirtyStart, true);
    this.#at = dirtyEnd;
  }

  /** Writes the text `begin` of the format over the beginning of the first line, once. */
  #markBegin(): void {
    if (!this.#isEmpty || this.#used === 0) return;
    this.#isEmpty = false;
    this.#bytes.write(this.#format.begin, 0, "latin1");
  }
}
