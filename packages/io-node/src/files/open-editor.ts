import { randomUUID } from "node:crypto";
import { fromUuid, type Limits, type MirrorOptions, QdbEditor } from "@qdb/format";
import { nodeDigests } from "../system/digests.ts";
import { openFileStore } from "./file-store.ts";

/** Options of {@link openQdbEditor}. */
export interface EditorOpenOptions extends Limits, MirrorOptions {
  /** Open for a repair: also a file whose primary header has bad magic. */
  readonly repair?: boolean;
}

/**
 * Opens a QDB file or block device for changes, locks it, and uses Node's checksums. Closing it releases the lock.
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

/** A random id. Node's cache of random bytes is not used, since two copies of a virtual machine would share it. */
function randomId(): Uint8Array {
  return fromUuid(randomUUID({ disableEntropyCache: true }));
}
