import type { Bitmap } from "@qdb/format";
import { MapPrinter } from "./map-printer.ts";

/** Converts a bitmap to one format, in pieces of bytes. */
export type Exporter = (bits: Bitmap) => Iterable<Uint8Array>;

/** The export formats by their names. */
export const EXPORTERS: ReadonlyMap<string, Exporter> = new Map<string, Exporter>([
  ["raw-bits", rawBits],
  ["extents", extents],
]);

const PIECE = 1024 * 1024;

/** The bits as ceil(bits / 8) plain bytes, least significant bit first; padding bits are zero. */
function* rawBits(bits: Bitmap): Generator<Uint8Array, void> {
  const length = Math.ceil(bits.bitCount / 8);
  for (let at = 0; at < length; at += PIECE) yield bits.bytesAt(at, Math.min(PIECE, length - at));
}

/** The same text as `qdb map --output=json`. */
function* extents(bits: Bitmap): Generator<Uint8Array, void> {
  const printed: Uint8Array[] = [];
  // A copy, since the printer reuses its buffer.
  const sink = { bytes: (bytes: Uint8Array) => void printed.push(new Uint8Array(bytes)) };
  const printer = new MapPrinter(sink, "json", bits);
  for (const batch of bits.extents()) {
    printer.push(batch);
    yield* printed.splice(0);
  }
  printer.finish();
  printer.flush();
  yield* printed;
}
