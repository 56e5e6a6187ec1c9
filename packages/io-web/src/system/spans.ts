import type { ByteRange } from "@qdb/format";
import { itemAt } from "@qdb/format/internal";

/** Ranges of a round that are farther apart are read each by itself: a request, or a read of a Blob, costs more than so many bytes. */
const MAX_GAP = 8 * 1024;
/** Ranges are joined up to this length. A longer range is a span of its own. */
export const MAX_SPAN: number = 8 * 1024 * 1024;

/** Joins the ranges of a round to spans, in ascending order, of which each is read at once. Empty ranges have no span. */
export function joinRanges(ranges: readonly ByteRange[]): ByteRange[] {
  const spans: { offset: number; length: number }[] = [];
  const sorted = ranges.filter(({ length }) => length > 0).sort((a, b) => a.offset - b.offset);
  for (const { offset, length } of sorted) {
    const last = spans.at(-1);
    const end = offset + length;
    const isNear = last !== undefined && offset - (last.offset + last.length) <= MAX_GAP;
    if (isNear && (end - last.offset <= MAX_SPAN || end <= last.offset + last.length))
      last.length = Math.max(last.length, end - last.offset);
    else spans.push({ offset, length });
  }
  return spans;
}

/** Bytes of a part of a file. */
export interface Span {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Returns the bytes of a range, in the memory of the span, or undefined if the span does not have all of them. */
export function cutSpan({ offset, bytes }: Span, range: ByteRange): Uint8Array | undefined {
  const start = range.offset - offset;
  if (start < 0 || start + range.length > bytes.length) return undefined;
  return bytes.subarray(start, start + range.length);
}

/** Returns the bytes of a range from the span that has them. The spans are in ascending order, as those of {@link joinRanges}. */
export function cutFrom(spans: readonly Span[], range: ByteRange): Uint8Array {
  if (range.length === 0) return new Uint8Array(0);
  let [low, high] = [0, spans.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (itemAt(spans, middle).offset <= range.offset) low = middle;
    else high = middle;
  }
  const bytes = cutSpan(itemAt(spans, low), range);
  if (bytes === undefined) throw new Error(`${range.length} bytes at offset ${range.offset} were not read`);
  return bytes;
}
