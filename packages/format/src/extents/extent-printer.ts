import type { ExtentBatch } from "../bitmap/runs.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import { formatLines, LINE_BYTES, LineState, MAX_LINE_RUNS } from "../kernels/lines.ts";
import { asciiBytes, HUMAN, JSON_LINES, type LineFormat, linesOf, lineTo } from "./extent-lines.ts";

/** Fewer runs are not worth the module. */
const MIN_RUNS = 64;
/** Default maximum number of bytes that are passed on at a time. */
const PIECE_BYTES = 256 * 1024;

/** What an {@link ExtentPrinter} prints. */
export interface PrinterOptions {
  /** `json`: the JSON of nbdinfo; `human`: its table. */
  readonly format: "json" | "human";
  /** The range of the disk whose extents are printed, from `start` up to but not including `end`, in bytes. The default is the disk. */
  readonly start?: bigint;
  readonly end?: bigint;
  /** Maximum number of bytes that are passed on at a time, at least 256 (default 256 KiB). */
  readonly pieceBytes?: number;
}

/**
 * Prints dirty extents, which are pushed in ascending order, and the clean extents between them, in the table or the JSON of nbdinfo. Offsets
 * and lengths are exact for disks of any size.
 */
export class ExtentPrinter {
  readonly #take: (bytes: Uint8Array) => void;
  readonly #format: LineFormat;
  readonly #granularity: bigint;
  readonly #state: LineState;
  /** Maximum number of elements of `runs` that are formatted at a time. */
  readonly #pieceLength: number;
  #isEmpty = true;

  /** `take` receives the text in pieces. It must not keep the bytes, nor call a printer: their place is used again. */
  constructor(take: (bytes: Uint8Array) => void, shape: BitmapShape, options: PrinterOptions) {
    const { start = 0n, end = shape.size, pieceBytes = PIECE_BYTES } = options;
    this.#take = take;
    this.#format = options.format === "json" ? JSON_LINES : HUMAN;
    this.#granularity = BigInt(shape.granularity);
    this.#state = new LineState(this.#format, shape.granularity, start, end);
    // Each run has two lines at most.
    this.#pieceLength = 2 * Math.min(MAX_LINE_RUNS, Math.floor(pieceBytes / (2 * LINE_BYTES)));
  }

  /** Prints a batch of dirty extents, and the clean extents before each. @throws {unknown} what `take` throws */
  push({ runs }: Pick<ExtentBatch, "runs">): void {
    for (let at = 0; at < runs.length; at += this.#pieceLength) {
      const piece = runs.subarray(at, at + this.#pieceLength);
      const bytes = piece.length < 2 * MIN_RUNS ? undefined : formatLines(piece, this.#state);
      this.#pass(bytes ?? linesOf(piece, this.#state, this.#format, this.#granularity));
    }
  }

  /**
   * Prints the clean extent after the last dirty one, and the text at the end. Call it after the last batch.
   * @throws {unknown} what `take` throws
   */
  finish(): void {
    const { end } = this.#state;
    this.#pass(asciiBytes(lineTo(end, false, this.#state, this.#format)));
    const text = this.#isEmpty ? this.#format.none : this.#format.end;
    if (text !== "") this.#take(asciiBytes(text));
  }

  /** Passes lines on. The first one gets the text `begin` over its beginning. */
  #pass(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#isEmpty) bytes.set(asciiBytes(this.#format.begin));
    this.#isEmpty = false;
    this.#take(bytes);
  }
}
