import type { ByteRange } from "@qdb/format";
import { cutSpan, type Span } from "../system/spans.ts";

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
