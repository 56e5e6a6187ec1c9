import type { ByteRange } from "@qdb/format";

/** Ranges of a round that are farther apart are fetched by requests of their own. A request costs more than so many bytes. */
const MAX_GAP = 8 * 1024;
/** Ranges are joined up to this length. A longer range is a span of its own. */
const MAX_SPAN = 8 * 1024 * 1024;

/** Joins the ranges of a round to spans, in ascending order, of which each is fetched by one request. Empty ranges have no span. */
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

/** Returns a copy of the bytes of a range, or undefined if the span does not have all of them. */
export function cutSpan({ offset, bytes }: Span, range: ByteRange): Uint8Array | undefined {
  const start = range.offset - offset;
  if (start < 0 || start + range.length > bytes.length) return undefined;
  return bytes.slice(start, start + range.length);
}

/** Keeps the spans that were used last, up to a number of bytes. */
export class SpanCache {
  readonly #maxBytes: number;
  /** Those that were used last are at the end. */
  readonly #spans = new Set<Span>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(range: ByteRange): Uint8Array | undefined {
    for (const span of this.#spans) {
      const bytes = cutSpan(span, range);
      if (bytes === undefined) continue;
      this.#spans.delete(span);
      this.#spans.add(span);
      return bytes;
    }
    return undefined;
  }

  add(span: Span): void {
    if (span.bytes.length > this.#maxBytes) return;
    this.#spans.add(span);
    this.#bytes += span.bytes.length;
    for (const oldest of this.#spans) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#spans.delete(oldest);
      this.#bytes -= oldest.bytes.length;
    }
  }
}
