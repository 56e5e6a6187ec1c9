import type { Bitmap } from "../bitmap/bitmap.ts";
import { GranularityChange } from "../bitmap/granularity-change.ts";
import type { Page, PageKind } from "../bitmap/page.ts";
import type { BitmapShape, BitRange } from "../bitmap/shape.ts";
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
  const change = new GranularityChange(source, granularity, inward);
  return {
    size: source.size,
    granularity,
    bitCount: change.bitCount,
    kind: (range) => source.kind(change.sourceOf(range)),
    *pages(ranges) {
      const pages = yield* source.pages(ranges.map((range) => change.sourceOf(range)));
      return ranges.map((range, at) => change.convert(itemAt(pages, at), range));
    },
  };
}
