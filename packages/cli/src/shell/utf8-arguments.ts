import { readFileSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";

/** The character by which Node replaces bytes that are not UTF-8. An argument can also contain the character itself. */
const REPLACEMENT = "\ufffd";

/**
 * Refuses arguments that are not UTF-8. Node replaces their bytes, so that a path would lead to another file, and a name would be that of
 * another bitmap.
 * @throws {QdbError} USAGE
 */
export function requireUtf8(args: readonly string[]): void {
  if (!args.some((arg) => arg.includes(REPLACEMENT))) return;
  const given = bytesOf(args.length);
  for (const [index, arg] of args.entries()) {
    const bytes = given[index];
    if (!arg.includes(REPLACEMENT) || bytes?.equals(Buffer.from(arg)) === true) continue;
    const shown = bytes?.toString("utf8") === arg ? quoteBytes(bytes) : quote(arg).replaceAll(REPLACEMENT, "\\ufffd");
    throw new QdbError(
      "USAGE",
      `the argument ${shown} is not UTF-8, and other paths and names cannot be used; rename the file, or make a symbolic link to it that is UTF-8`,
    );
  }
}

/** Returns the last `count` arguments of this process as bytes; an empty list if the system has no /proc. */
function bytesOf(count: number): readonly Buffer[] {
  let line: Buffer;
  try {
    line = readFileSync("/proc/self/cmdline");
  } catch {
    return [];
  }
  const all: Buffer[] = [];
  for (let start = 0; start < line.length; ) {
    const found = line.indexOf(0, start);
    const end = found < 0 ? line.length : found;
    all.push(line.subarray(start, end));
    start = end + 1;
  }
  return all.slice(-count);
}

/** Puts bytes in quotes. Printable ASCII is left unchanged, all other bytes are escaped. */
function quoteBytes(bytes: Uint8Array): string {
  const escaped = Array.from(bytes, (byte) =>
    byte < 0x80 ? quote(String.fromCharCode(byte)).slice(1, -1) : `\\x${byte.toString(16)}`,
  );
  return `"${escaped.join("")}"`;
}
