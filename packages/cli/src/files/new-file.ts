import { randomBytes, randomUUID } from "node:crypto";
import { lstatSync } from "node:fs";
import { type FileContents, fromUuid, QdbError, quote, writeImage } from "@qdb/format";
import { createFile, nodeDigests } from "@qdb/io-node";
import type { Call } from "../shell/command.ts";
import { requireFile } from "./open-qdb.ts";

/** log2 of the default cluster size of new files. */
export const CLUSTER_BITS = 12;

/** Returns a new random file_id. */
export function randomFileId(): Uint8Array {
  return fromUuid(randomUUID());
}

/** Returns a new random writer_id. */
export function randomWriterId(): Uint8Array {
  return randomBytes(16);
}

/** Returns the contents of a new file in full form without bitmaps. */
export function emptyContents(clusterBits: number = CLUSTER_BITS): FileContents {
  return {
    form: "full",
    clusterBits,
    fileId: randomFileId(),
    writerId: randomWriterId(),
    allOnes: true,
    extensions: [],
    bitmaps: [],
  };
}

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

/** Creates a QDB file, completely or not at all. @throws {QdbError} as `writeImage` and `createFile` */
export async function writeNewFile(path: string, contents: FileContents, call: Call): Promise<void> {
  const image = writeImage(contents, nodeDigests);
  const progress = call.progress("writing");
  try {
    await createFile(path, image, { signal: call.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}
