import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { closingSync } from "@qdb/format/internal";
import { fromNode } from "./errors.ts";

/**
 * Flushes the directory of a file, so that a new name of the file is on the disk too.
 * @throws {QdbError} IO; NOT_FOUND if the directory does not exist
 */
export function syncDirectory(path: string): void {
  const directory = dirname(path);
  try {
    const fd = openSync(directory, "r");
    closingSync({ close: () => closeSync(fd) }, () => fsyncSync(fd));
  } catch (error) {
    throw fromNode(error, "flush (fsync) the directory", directory);
  }
}
