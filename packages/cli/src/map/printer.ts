import type { BitmapShape } from "@qdb/format";
import type { Output } from "../shell/output.ts";
import { HUMAN, humanPutter, JSON_TEXT, jsonPutter, type PutRuns } from "./lines.ts";

/** What a map looks like: nbdinfo's table, or nbdinfo's JSON. */
export type MapFormat = "human" | "json";

/** Bytes that come together before they are written: more than the lines of one batch. */
const BUFFER_SIZE = 4 * 1024 * 1024;
/** Most bytes of one extent, and what is overwritten behind it. */
const LINE_SIZE = 112;
/** Numbers that are printed at a time: V8 is quick to optimise what is called often, and slow with one long loop. */
const PIECE = 512;

/**
 * Prints extents as nbdinfo does, dirty and clean in turn, from dirty runs. Nothing is written before `flush` is called.
 * Offsets and lengths are exact: where the disk ends past 2^53 they are bigint all the way.
 */
export class MapPrinter {
  readonly #output: Pick<Output, "bytes">;
  readonly #json: boolean;
  readonly #shape: BitmapShape;
  readonly #put: PutRuns;
  readonly #end: bigint;
  /** Whether every offset fits a number. */
  readonly #fits: boolean;
  readonly #bytes = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  #used = 0;
  #isEmpty = true;
  /** Where the next extent starts, in bytes of the disk. */
  #at: bigint;

  /** `start` and `end` are bytes of the disk, the window that is printed. */
  constructor(output: Pick<Output, "bytes">, format: MapFormat, shape: BitmapShape, start: bigint, end: bigint) {
    this.#output = output;
    this.#json = format === "json";
    this.#shape = shape;
    this.#end = end;
    this.#fits = end <= BigInt(Number.MAX_SAFE_INTEGER);
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    const window = { granularity: shape.granularity, start: Number(start), end: Number(end) };
    this.#put = this.#json ? jsonPutter(view, window) : humanPutter(view, window);
    this.#at = start;
  }

  /** Whether a batch of runs fits in before something must be written. */
  hasRoomFor(runs: Uint32Array): boolean {
    // Each run is a dirty extent and may have a clean one before it; one more clean one, and the end, come at last.
    return this.#used + (runs.length + 2) * LINE_SIZE <= BUFFER_SIZE;
  }

  /** Prints a batch of dirty runs, first and last bit of each in turn; it must fit. */
  push(runs: Uint32Array): void {
    let at = 0;
    while (at < runs.length) {
      // The first extent has another text before it, and the quick functions know numbers only.
      if (!this.#fits || this.#isEmpty) {
        this.#putRun(runs[at] ?? 0, runs[at + 1] ?? 0);
        at += 2;
        continue;
      }
      const piece = runs.subarray(at, at + PIECE);
      this.#used = this.#put(this.#used, piece, Number(this.#at));
      this.#at = this.#endOf(piece.at(-1) ?? 0);
      at += PIECE;
    }
  }

  /** Prints what is left of the window, and the end. */
  finish(): void {
    if (this.#at < this.#end) this.#putExtent(this.#end, false);
    if (this.#json) this.#text(this.#isEmpty ? JSON_TEXT.none : JSON_TEXT.end);
  }

  /** Writes what was printed so far. @throws {QdbError} IO */
  flush(): void {
    this.#output.bytes(this.#bytes.subarray(0, this.#used));
    this.#used = 0;
  }

  /** Where the run that ends with a bit ends, in bytes. */
  #endOf(last: number): bigint {
    const end = (BigInt(last) + 1n) * BigInt(this.#shape.granularity);
    return end < this.#end ? end : this.#end;
  }

  /** One run, exact at any size. */
  #putRun(first: number, last: number): void {
    const start = BigInt(first) * BigInt(this.#shape.granularity);
    if (start > this.#at) this.#putExtent(start, false);
    this.#putExtent(this.#endOf(last), true);
  }

  /** The extent up to `end`. */
  #putExtent(end: bigint, dirty: boolean): void {
    const offset = String(this.#at);
    const length = String(end - this.#at);
    const kind = dirty ? "dirty" : "clean";
    if (this.#json) {
      const before = this.#isEmpty ? JSON_TEXT.first : JSON_TEXT.next;
      this.#text(before + offset + JSON_TEXT.length + length + JSON_TEXT[kind]);
    } else {
      this.#text(`${offset.padStart(HUMAN.pad)}${HUMAN.gap}${length.padStart(HUMAN.pad)}${HUMAN[kind]}`);
    }
    this.#at = end;
    this.#isEmpty = false;
  }

  #text(text: string): void {
    this.#used += this.#bytes.write(text, this.#used, "latin1");
  }
}
