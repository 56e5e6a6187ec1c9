import type { Bitmap } from "@qdb/format";
import { ExtentPrinter } from "./extent-printer.ts";

/** Gives the bytes of a bitmap in one format, in pieces. */
export type Exporter = (bits: Bitmap) => Iterable<Uint8Array>;

/** The formats that can be written, by their names. */
export const EXPORTERS: ReadonlyMap<string, Exporter> = new Map<string, Exporter>([
  ["raw-bits", rawBits],
  ["extents", extents],
]);

const PIECE = 1024 * 1024;

/** The bits as plain bytes, least significant bit first, ceil(bits / 8) of them; zero behind the last bit. */
function* rawBits(bits: Bitmap): Generator<Uint8Array, void> {
  const length = Math.ceil(bits.bitCount / 8);
  for (let at = 0; at < length; at += PIECE) yield bits.bytesAt(at, Math.min(PIECE, length - at));
}

/** What `qdb map --output=json` prints. */
function* extents(bits: Bitmap): Generator<Uint8Array, void> {
  const printed: Uint8Array[] = [];
  // What the printer hands out is overwritten by what it prints next.
  const sink = { bytes: (bytes: Uint8Array) => void printed.push(new Uint8Array(bytes)) };
  const printer = new ExtentPrinter(sink, "json", bits);
  for (const batch of bits.extents()) {
    printer.push(batch);
    yield* printed.splice(0);
  }
  printer.finish();
  printer.flush();
  yield* printed;
}
