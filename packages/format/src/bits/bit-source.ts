import type { Bitmap } from "../bitmap/bitmap.ts";
import { coarsenPage, type Page, type PageKind, pageOfWords, refinePage } from "../bitmap/page.ts";
import { type BitmapShape, type BitRange, bitsOfShape } from "../bitmap/shape.ts";
import { itemAt } from "../elements.ts";
import type { Plan } from "../ports/plan.ts";

/** Bits that are combined into a bitmap. They are read range by range, and only where the combination needs them. */
export interface BitSource extends BitmapShape {
  /** Number of bits. */
  readonly bitCount: number;
  /** Returns what is known of a range of bits without reading: all zeros, all ones, or "words" if they have to be read. */
  kind(range: BitRange): PageKind;
  /**
   * Returns a page for each range, for reading only: its first bit is the first bit of the range.
   * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum
   */
  pages(ranges: readonly BitRange[]): Plan<readonly Page[]>;
}

/** Returns the bits of a bitmap in memory as a source. Changes of the bitmap that follow have no effect on it. */
export function sourceOf(bitmap: Bitmap): BitSource {
  const bits = bitmap.clone();
  return {
    size: bits.size,
    granularity: bits.granularity,
    bitCount: bits.bitCount,
    kind: (range) => bits.kindOf(range),
    *pages(ranges) {
      return ranges.map((range) => bits.pageAt(range));
    },
  };
}

/**
 * Returns the bits of a source at another granularity. They are rounded outward, so that every dirty byte stays dirty, or with `inward` so
 * that a bit is dirty only if all of its granule is.
 * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape
 */
export function atGranularity(source: BitSource, granularity: number, inward: boolean): BitSource {
  if (source.granularity === granularity) return source;
  const shape = { size: source.size, granularity };
  const steps = Math.log2(granularity / source.granularity);
  const factor = 2 ** Math.abs(steps);
  const bitCount = bitsOfShape(shape);
  /** The bits of the source that stand for the same bytes. The first bit of a range is a multiple of the cluster, so it divides evenly or lies in one coarse bit. */
  const rangeOf = ({ first, end }: BitRange): BitRange =>
    steps > 0
      ? { first: first * factor, end: Math.min(end * factor, source.bitCount) }
      : { first: Math.floor(first / factor), end: Math.ceil(end / factor) };
  const convert = (page: Page, own: BitRange, theirs: BitRange): Page => {
    const bits = own.end - own.first;
    const sourceBits = theirs.end - theirs.first;
    if (steps > 0) return coarsenPage(page, sourceBits, steps, bits, inward);
    const uniform = typeof page === "string" ? page : pageOfWords(page, sourceBits);
    return refinePage(uniform, -steps, bits);
  };
  return {
    ...shape,
    bitCount,
    kind: (range) => source.kind(rangeOf(range)),
    *pages(ranges) {
      const theirs = ranges.map(rangeOf);
      const pages = yield* source.pages(theirs);
      return ranges.map((range, at) => convert(itemAt(pages, at), range, itemAt(theirs, at)));
    },
  };
}
