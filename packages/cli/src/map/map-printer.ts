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

/** Size of the buffer in bytes: more than the lines of one batch take. */
const BUFFER_SIZE = 4 * 1024 * 1024;
/** Most bytes of one line, with the bytes after it that may be overwritten. */
const LINE_SIZE = 112;
/** Numbers that one call prints. V8 optimizes a function that is called often sooner than one long loop. */
const PIECE = 512;

/**
 * Prints dirty extents, given in ascending order, and the clean ones between them, as the table or the JSON of nbdinfo. Bytes are
 * written when the buffer is full and when `flush` is called. Offsets and lengths are exact for disks of any size.
 */
export class MapPrinter {
  readonly #output: Pick<Output, "bytes">;
  readonly #format: LineFormat;
  readonly #granularity: number;
  /** The range that is printed, `[start, end)` in bytes of the disk. */
  readonly #start: bigint;
  readonly #end: bigint;
  /** Whether all offsets are below 2^53. */
  readonly #fits: boolean;
  readonly #bytes = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  readonly #put: PutLine<number>;
  readonly #putBig: PutLine<bigint>;
  #used = 0;
  #isEmpty = true;
  /** Where the next extent starts, in bytes of the disk. */
  #at: bigint;

  /** `start` and `end` are the range to print, in bytes of the disk. */
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

  /** Prints a batch of dirty extents. @throws {QdbError} IO */
  push(batch: ExtentBatch): void {
    const { runs } = batch;
    // Each run has two numbers and makes at most two lines. The last clean extent and the end need room too.
    if (this.#used + (runs.length + 2) * LINE_SIZE > BUFFER_SIZE) this.flush();
    if (!this.#fits) {
      for (const { offset, length } of batch.rangesBig()) this.#putRange(offset, offset + length);
    } else {
      for (let at = 0; at < runs.length; at += PIECE) this.#putRuns(runs.subarray(at, at + PIECE));
    }
    this.#markBegin();
  }

  /** Prints the rest of the range, and the end. */
  finish(): void {
    if (this.#at < this.#end) this.#putRange(this.#end, this.#end);
    this.#markBegin();
    this.#used += this.#bytes.write(this.#isEmpty ? this.#format.none : this.#format.end, this.#used, "latin1");
  }

  /** Writes the content of the buffer. @throws {QdbError} IO */
  flush(): void {
    this.#output.bytes(this.#bytes.subarray(0, this.#used));
    this.#used = 0;
  }

  /** Prints dirty runs, given as first and last bit of each in turn. All offsets must be below 2^53. */
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

  /** Prints a dirty range and the clean one before it; either may be empty. */
  #putRange(dirtyStart: bigint, dirtyEnd: bigint): void {
    if (dirtyStart > this.#at) this.#used = this.#putBig(this.#used, this.#at, dirtyStart - this.#at, false);
    if (dirtyEnd > dirtyStart) this.#used = this.#putBig(this.#used, dirtyStart, dirtyEnd - dirtyStart, true);
    this.#at = dirtyEnd;
  }

  /** Writes `begin` over the first characters of the first line. */
  #markBegin(): void {
    if (!this.#isEmpty || this.#used === 0) return;
    this.#isEmpty = false;
    this.#bytes.write(this.#format.begin, 0, "latin1");
  }
}
