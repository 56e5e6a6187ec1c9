import { QdbError, quote } from "@qdb/format";
import { isQcow2 } from "@qdb/qcow2";
import { firstBytes } from "../files/first-bytes.ts";
import { importExtents } from "./import-extents.ts";
import { importQcow2 } from "./import-qcow2.ts";
import { importRawBits } from "./import-raw-bits.ts";
import type { Importer } from "./request.ts";

/** The import formats by their names. */
export const IMPORTERS: ReadonlyMap<string, Importer> = new Map([
  ["qcow2", importQcow2],
  ["raw-bits", importRawBits],
  ["extents", importExtents],
]);

/** Number of bytes at the beginning of a source that are examined to detect its format. */
const HEAD_SIZE = 512;

/**
 * Detects the format of a source by its first bytes.
 * @throws {QdbError} USAGE for standard input or an unknown format; else what opening and reading the source throws
 */
export function detectFormat(path: string): string {
  const say = `say it with --from: ${[...IMPORTERS.keys()].join(", ")}`;
  if (path === "-") throw new QdbError("USAGE", `the format of standard input is not looked for; ${say}`);
  const start = firstBytes(path, HEAD_SIZE);
  if (isQcow2(start)) return "qcow2";
  if (/^[ \t\n\r]*[[{]/.test(Buffer.from(start).toString("latin1"))) return "extents";
  throw new QdbError("USAGE", `the format of ${quote(path)} is not known; ${say}`);
}
