import { randomBytes, randomUUID } from "node:crypto";
import { lstatSync } from "node:fs";
import { type FileContents, fromUuid, QdbError, quote, writeImage } from "@qdb/format";
import { createFile, nodeDigests } from "@qdb/io-node";
import type { Call } from "../shell/command.ts";
import { requireFile } from "./open-qdb.ts";

/** log2 of the cluster size that new files get when nothing else is said. */
export const CLUSTER_BITS = 12;

/** A new 16-byte identity. */
export function randomFileId(): Uint8Array {
  return fromUuid(randomUUID());
}

/** A new writer_id. */
export function randomWriterId(): Uint8Array {
  return randomBytes(16);
}

/** A new full file without a bitmap. */
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

/** Refuses a target that is there already, before any work is done for it; creation looks again. @throws {QdbError} ALREADY_EXISTS, USAGE */
export function requireNewFile(path: string): void {
  requireFile(path);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  // A block device is written to where it does not hold a file yet: creation sees to it.
  if (stats === undefined || stats.isSymbolicLink() || stats.isBlockDevice()) return;
  throw new QdbError(
    "ALREADY_EXISTS",
    `${quote(path)} exists already and is not overwritten; choose another name or remove it first`,
  );
}

/** Makes a new QDB file, whole or not at all. @throws {QdbError} as `writeImage` and `createFile` */
export async function writeNewFile(path: string, contents: FileContents, call: Call): Promise<void> {
  const image = writeImage(contents, nodeDigests);
  const progress = call.progress("writing");
  try {
    await createFile(path, image, { signal: call.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}
