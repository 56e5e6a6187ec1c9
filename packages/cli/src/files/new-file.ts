import { lstatSync } from "node:fs";
import { type Bitmap, QdbError, quote } from "@qdb/format";
import type { BitSource, FileChunk, FileContents, LongCallOptions, Plan, ReadStep } from "@qdb/format/container";
import { type ImagePlanOptions, imagePlan, nextPut, type Pieces } from "@qdb/format/internal";
import { nodeDigests } from "@qdb/io-node";
import type { NewFile } from "@qdb/io-node/container";
import type { Call } from "../shell/command.ts";
import { ofOtherFilesSync } from "../shell/errors.ts";
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

/**
 * Writes a new QDB file, in windows: bits are read as they are stored. The plan can be run again; the file then begins anew.
 * @throws {QdbError} as `imagePlan`; what the file throws
 */
export function* fillFile(
  file: NewFile,
  contents: FileContents<Bitmap | BitSource>,
  options: Omit<ImagePlanOptions, "digests"> = {},
): Plan<void> {
  const change = (work: () => void): void => ofOtherFilesSync(work);
  change(() => file.truncate(0));
  const chunks = imagePlan(contents, { ...options, digests: nodeDigests });
  for (;;) {
    const step = yield* nextPut<ReadStep, FileChunk, number, Pieces>(chunks);
    if (step.done === true) return change(() => file.truncate(step.value));
    const { offset, bytes } = step.value;
    change(() => file.write(bytes, offset));
    // A step in which nothing is read: between two steps the driver looks at the signal, and gives other work a turn.
    yield { read: [] };
  }
}
