import { closingSync } from "@qdb/format/internal";
import { openFileSource } from "@qdb/io-node";

/** Returns the first `most` bytes of a file or device, or all of its bytes if it has fewer. @throws {QdbError} as opening and reading a file source */
export function firstBytes(path: string, most: number): Uint8Array {
  const source = openFileSource(path);
  return closingSync(source, () => source.readSync(0, Math.min(most, source.size)));
}
