import { GranularityChange } from "../bitmap/granularity-change.ts";
import { type Page, type PageKind, wordsOfPage } from "../bitmap/page.ts";
import type { BitmapShape, BitRange } from "../bitmap/shape.ts";
import type { Plan } from "../ports/plan.ts";
import type { Scratch } from "./scratch.ts";

/**
 * Bits that are combined into a bitmap. They are read range by range, and only where the combination needs them. They are read when the
 * result is stored, too, and must not change before that.
 */
export interface BitSource extends BitmapShape {
  /** Number of bits. */
  readonly bitCount: number;
  /** Returns what is known of a range of bits without reading: all zeros, all ones, or "words" if they have to be read. */
  kind(range: BitRange): PageKind;
  /**
   * Returns the page of a range of bits, for reading only: its first bit is the first bit of the range. It is valid until the next use of
   * `scratch`.
   * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum
   */
  page(range: BitRange, scratch: Scratch): Plan<Page>;
}

/** Number of bits of a source that are read at a time to make coarser ones of them: 1 MiB. */
const SOURCE_BITS = 2 ** 23;

/**
 * Returns the bits of a source at another granularity. They are rounded outward, so that every dirty byte stays dirty, or with `inward` so
 * that a bit is dirty only if all of its granule is. Ranges begin at a multiple of a power of two that is not less than their length.
 * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape
 */
export function atGranularity(source: BitSource, granularity: number, inward: boolean): BitSource {
  if (source.granularity === granularity) return source;
  const change = new GranularityChange(source, granularity, inward);
  // The source of a part has about as many bits as a round, although its granularity is finer.
  const most = Math.max(32, SOURCE_BITS / Math.max(1, granularity / source.granularity));
  return {
    size: source.size,
    granularity,
    bitCount: change.bitCount,
    kind: (range) => source.kind(change.sourceOf(range)),
    *page(range, scratch) {
      const convert = function* (part: BitRange): Plan<Page> {
        return change.convert(yield* source.page(change.sourceOf(part), scratch.part(0)), part);
      };
      if (range.end - range.first <= most) return yield* convert(range);
      const words = wordsIn(scratch, range.end - range.first);
      for (let first = range.first; first < range.end; first += most) {
        const part = { first, end: Math.min(first + most, range.end) };
        words.set(wordsOfPage(yield* convert(part), part.end - first), (first - range.first) / 32);
      }
      return words;
    },
  };
}

/** Returns the words of a scratch for a number of bits. */
function wordsIn(scratch: Scratch, bitCount: number): Uint32Array {
  const bytes = scratch.bytes(Math.ceil(bitCount / 32) * 4);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
