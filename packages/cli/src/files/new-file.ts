import { lstatSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";

import type { Call } from "../shell/command.ts";
import { requireFile } from "./open-qdb.ts";

/** Refuses a target that exists, before any work is done. Creating the file checks again. @throws {QdbError} ALREADY_EXISTS, USAGE */
export function requireNewFile(path: string): void {
  requireFile(path);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  // A block device may exist. Creating the file checks that it does not hold a QDB file yet.
  if (stats === undefined || stats.isSymbolicLink() || stats.isBlockDevice()) return;
  throw alreadyExists(path);
}

/** Returns the error for a target that exists. */
export function alreadyExists(path: string): QdbError {
  const message = `${quote(path)} exists already and is not overwritten; choose another name or remove it first`;
  return new QdbError("ALREADY_EXISTS", message);
}

/** Runs work that writes a new file, and shows its progress. @throws {QdbError} as the work */
export async function writing(call: Call, work: (options: LongCallOptions) => Promise<void>): Promise<void> {
  const progress = call.progress("writing");
  try {
    await work({ signal: call.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}
