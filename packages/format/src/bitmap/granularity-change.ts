import { coarsenPage, type Page, pageOfWords, refinePage } from "./page.ts";
import { type BitmapShape, type BitRange, bitsOfShape } from "./shape.ts";

/** A change of granularity, page by page. Every byte that is dirty stays dirty, or with `inward` every byte that is clean stays clean. */
export class GranularityChange {
  /** Number of bits at the new granularity. */
  readonly bitCount: number;
  readonly #sourceBits: number;
  /** log2 of the factor: positive if the new granularity is coarser. */
  readonly #steps: number;
  readonly #factor: number;
  readonly #inward: boolean;

  /** @throws {QdbError} USAGE, LIMIT if the format does not allow the shape */
  constructor(from: BitmapShape, granularity: number, inward: boolean) {
    this.bitCount = bitsOfShape({ size: from.size, granularity });
    this.#sourceBits = bitsOfShape(from);
    this.#steps = Math.log2(granularity / from.granularity);
    this.#factor = 2 ** Math.abs(this.#steps);
    this.#inward = inward;
  }

  /**
   * Returns the old bits that stand for the same bytes as a range of new bits. The range begins at a multiple of a power of two that is not
   * less than its length, so that it begins at the first byte of an old bit, or lies in one.
   */
  sourceOf({ first, end }: BitRange): BitRange {
    const factor = this.#factor;
    if (this.#steps > 0) return { first: first * factor, end: Math.min(end * factor, this.#sourceBits) };
    return { first: Math.floor(first / factor), end: Math.ceil(end / factor) };
  }

  /** Returns the page of a range of new bits. `source` is the page of its old bits. */
  convert(source: Page, range: BitRange): Page {
    const bits = range.end - range.first;
    const { first, end } = this.sourceOf(range);
    if (this.#steps > 0) return coarsenPage(source, end - first, this.#steps, bits, this.#inward);
    // An old bit that covers more than the range has a page of one bit, which is uniform.
    const uniform = typeof source === "string" ? source : pageOfWords(source, end - first);
    return refinePage(uniform, -this.#steps, bits);
  }
}
