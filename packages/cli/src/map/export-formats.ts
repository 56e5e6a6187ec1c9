import type { Bitmap } from "@qdb/format";
import { ExtentPrinter } from "@qdb/format/internal";

/** Converts a bitmap to one format, in pieces of bytes. */
export type Exporter = (bits: Bitmap) => Iterable<Uint8Array>;

/** The export formats by their names. */
export const EXPORTERS: ReadonlyMap<string, Exporter> = new Map<string, Exporter>([
  ["raw-bits", rawBits],
  ["extents", extents],
]);

const PIECE = 1024 * 1024;

/** Yields the plain bits: ceil(bits / 8) bytes, least significant bit first. Padding bits are zero. */
function* rawBits(bits: Bitmap): Generator<Uint8Array, void> {
  const length = Math.ceil(bits.bitCount / 8);
  for (let at = 0; at < length; at += PIECE) yield bits.bytesAt(at, Math.min(PIECE, length - at));
}

/** Yields the text that `qdb map --output=json` prints. */
function* extents(bits: Bitmap): Generator<Uint8Array, void> {
  const printed: Uint8Array[] = [];
  // The bytes are copied, because the printer reuses its buffer.
  const printer = new ExtentPrinter((bytes) => void printed.push(bytes.slice()), bits, { format: "json" });
  for (const batch of bits.batches()) {
    printer.push(batch);
    yield* printed.splice(0);
  }
  printer.finish();
  yield* printed;
}
