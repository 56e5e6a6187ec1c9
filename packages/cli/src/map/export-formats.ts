import type { LongCallOptions } from "@qdb/format/container";
import { type BitsReader, printBits, printExtents, type TakeBytes } from "@qdb/format/internal";

/** Prints a bitmap in one format. Nothing is printed before all bits are known to be good. */
export type Exporter = (bits: BitsReader, take: TakeBytes, options: LongCallOptions) => Promise<void>;

/** The export formats by their names. */
export const EXPORTERS: ReadonlyMap<string, Exporter> = new Map<string, Exporter>([
  ["raw-bits", printBits],
  // The text that `qdb map --output=json` prints.
  ["extents", (bits, take, options) => printExtents(bits, take, { ...options, format: "json" })],
]);
