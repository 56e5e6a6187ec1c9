import type { ExtentBatch } from "../bitmap/runs.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import { wordAt } from "../elements.ts";
import { putText } from "./decimal.ts";
import {
  bigintWriter,
  HUMAN,
  JSON_LINES,
  type LineFormat,
  lineWriter,
  numberWriter,
  type PutLine,
} from "./extent-lines.ts";

/** Maximum number of bytes that writing one line can touch: the line and the bytes after it that may be overwritten. */
const LINE_SIZE = 112;
/** Number of elements of `runs` that are formatted at a time. V8 optimizes a function that is called often sooner than one long loop. */
const PIECE = 512;
/** Default size of the buffer in bytes. The lines of a piece fit into it. */
const BUFFER_SIZE = 256 * 1024;

/** What an {@link ExtentPrinter} prints. */
export interface PrinterOptions {
  /** `json`: the JSON of nbdinfo; `human`: its table. */
  readonly format: "json" | "human";
  /** The range of the disk whose extents are printed, from `start` up to but not including `end`, in bytes. The default is the disk. */
  readonly start?: bigint;
  readonly end?: bigint;
  /** Size of the buffer in bytes, at least 64 KiB (default 256 KiB). */
  readonly bufferSize?: number;
}

/**
 * Prints dirty extents, which are pushed in ascending order, and the clean extents between them, in the table or the JSON of nbdinfo. Offsets
 * and lengths are exact for disks of any size.
 */
export class ExtentPrinter {
  readonly #take: (bytes: Uint8Array) => void;
  readonly #format: LineFormat;
  readonly #granularity: number;
  readonly #start: bigint;
  readonly #end: bigint;
  /** Whether all offsets are below 2^53, and can be computed as numbers. */
  readonly #fits: boolean;
  readonly #bytes: Uint8Array;
  readonly #put: PutLine<number>;
  readonly #putBig: PutLine<bigint>;
  #used = 0;
  #isEmpty = true;
  /** Offset on the disk up to which extents were printed, in bytes. */
  #at: bigint;

  /** `take` receives the text when the buffer is full, and when `flush` is called. It must not keep the bytes: the buffer is used again. */
  constructor(take: (bytes: Uint8Array) => void, shape: BitmapShape, options: PrinterOptions) {
    const { start = 0n, end = shape.size, bufferSize = BUFFER_SIZE } = options;
    this.#take = take;
    this.#format = options.format === "json" ? JSON_LINES : HUMAN;
    this.#granularity = shape.granularity;
    this.#start = start;
    this.#end = end;
    this.#fits = end <= BigInt(Number.MAX_SAFE_INTEGER);
    this.#bytes = new Uint8Array(bufferSize);
    const view = new DataView(this.#bytes.buffer);
    this.#put = lineWriter(view, this.#format, numberWriter(view, this.#format));
    this.#putBig = lineWriter(view, this.#format, bigintWriter(this.#bytes, this.#format));
    this.#at = start;
  }

  /** Prints a batch of dirty extents, and the clean extents before each. @throws {unknown} what `take` throws */
  push(batch: ExtentBatch): void {
    const { runs } = batch;
    for (let at = 0; at < runs.length; at += PIECE) {
      const piece = runs.subarray(at, at + PIECE);
      // Each run is two elements, and prints at most two lines. Room is kept for the last clean extent and the text at the end.
      if (this.#used + (piece.length + 2) * LINE_SIZE > this.#bytes.length) this.flush();
      if (this.#fits) this.#putRuns(piece);
      else this.#putBigRuns(piece);
    }
  }

  /** Prints the clean extent after the last dirty one, and the text at the end. Call it after the last batch. */
  finish(): void {
    if (this.#at < this.#end) this.#putRange(this.#end, this.#end);
    this.#markBegin();
    this.#used = putText(this.#bytes, this.#used, this.#isEmpty ? this.#format.none : this.#format.end);
  }

  /** Passes what is in the buffer to `take`. @throws {unknown} what `take` throws */
  flush(): void {
    this.#markBegin();
    const used = this.#used;
    this.#used = 0;
    if (used > 0) this.#take(this.#bytes.subarray(0, used));
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

  /** Does the same as {@link #putRuns} for offsets of any size. */
  #putBigRuns(runs: Uint32Array): void {
    const granularity = BigInt(this.#granularity);
    for (let index = 0; index < runs.length; index += 2) {
      const first = BigInt(wordAt(runs, index)) * granularity;
      const end = (BigInt(wordAt(runs, index + 1)) + 1n) * granularity;
      this.#putRange(first > this.#start ? first : this.#start, end < this.#end ? end : this.#end);
    }
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
    putText(this.#bytes, 0, this.#format.begin);
  }
}
