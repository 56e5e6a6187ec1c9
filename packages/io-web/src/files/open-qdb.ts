import { type OpenOptions, QdbFile } from "@qdb/format";
import { closingOnError } from "@qdb/format/internal";
import type { HttpOptions } from "../http/http-source.ts";
import { openSource, type Place } from "./open-source.ts";

/** Options of {@link openQdb}. Those of HTTP apply to an address. */
export interface QdbOpenOptions extends OpenOptions, Omit<HttpOptions, "signal" | "clock"> {}

/**
 * Opens a QDB file for reading: a `Blob` or `File`, an address, or a path in the origin private file system. Close the file when done. A page cannot look at the disk of a bitmap, so
 * the disk is not compared with its stamp; pass `beforeBits` to refuse bits by other means.
 * @throws {QdbError} as {@link openSource}; then the first error of the file (spec §7); ABORTED
 * @example
 * const file = await openQdb("/backups/vm.qdb");
 * for (const bitmap of file.bitmaps) console.log(bitmap.label, bitmap.size);
 */
export async function openQdb(place: Place, options: QdbOpenOptions = {}): Promise<QdbFile> {
  const source = await openSource(place, options);
  return closingOnError({ close: () => source.close?.() }, () => QdbFile.open(source, options));
}
