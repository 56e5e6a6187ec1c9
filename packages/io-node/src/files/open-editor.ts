import { randomUUID } from "node:crypto";
import { fromUuid, type Limits, type MirrorOptions, QdbEditor } from "@qdb/format";
import { nodeDigests } from "../system/digests.ts";
import { openFileStore } from "./file-store.ts";

/** What {@link openQdbEditor} takes. */
export interface EditorOpenOptions extends Limits, MirrorOptions {
  /** A repair that was asked for: a primary with bad magic is not refused. */
  readonly repair?: boolean;
}

/**
 * Opens a QDB file or block device for changes, under its lock, with Node's checksums. Close it when done: that ends the lock.
 * @throws {QdbError} LOCKED, NOT_FOUND, USAGE, NOT_SUPPORTED, LIMIT, IO as {@link openFileStore}; then the first error of the file (spec §7)
 */
export async function openQdbEditor(path: string, options: EditorOpenOptions = {}): Promise<QdbEditor> {
  const store = openFileStore(path);
  try {
    return await QdbEditor.open(store, { digests: nodeDigests, randomId, ...options });
  } catch (error) {
    try {
      store.close();
    } catch {
      // The first error is the one to report.
    }
    throw error;
  }
}

/** Never from Node's stock of random bytes: a virtual machine that is copied would use them twice. */
function randomId(): Uint8Array {
  return fromUuid(randomUUID({ disableEntropyCache: true }));
}
