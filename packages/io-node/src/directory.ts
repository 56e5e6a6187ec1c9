import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { fromNode } from "./errors.ts";

/** A name that no file has, in the directory of another: what a kill leaves behind is seen to be ours. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), `.qdb-${randomBytes(8).toString("hex")}.tmp`);
}

/** Flushes the directory of a file: a new name of it is on the disk then. @throws {QdbError} IO */
export function syncDirectory(path: string): void {
  const directory = dirname(path);
  try {
    const fd = openSync(directory, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fromNode(error, "flush (fsync) the directory", directory);
  }
}
