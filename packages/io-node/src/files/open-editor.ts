import { randomUUID } from "node:crypto";
import { fromUuid, type Limits, type MirrorOptions, QdbEditor } from "@qdb/format";
import { closingOnError } from "@qdb/format/internal";
import { type DiskOptions, refuseOtherDisks } from "../disk/disk-state.ts";
import { nodeDigests } from "../system/digests.ts";
import { openFileStore } from "./file-store.ts";

/** Options of {@link openQdbEditor}. */
export interface EditorOpenOptions extends Limits, MirrorOptions, DiskOptions {
  /** Open for a repair: also a file whose primary header has bad magic. */
  readonly repair?: boolean;
}

/**
 * Opens a QDB file or block device for changes, locks it, and uses Node's checksums. Closing it releases the lock.
 *
 * Before `bits` gives out the source of a merge, the disk of that bitmap is compared with the bitmap's stamp, as by `openQdb`. A bitmap
 * that is changed is not compared with its disk.
 * @throws {QdbError} LOCKED, NOT_FOUND, USAGE, NOT_SUPPORTED, LIMIT, IO as {@link openFileStore}; USAGE for an impossible path of the disk;
 * then the first error of the file (spec §7)
 */
export async function openQdbEditor(path: string, { disk, ...options }: EditorOpenOptions = {}): Promise<QdbEditor> {
  const beforeBits = refuseOtherDisks({ disk });
  const store = openFileStore(path);
  return closingOnError(store, () => QdbEditor.open(store, { digests: nodeDigests, randomId, ...options, beforeBits }));
}

/** A random id. Node's cache of random bytes is not used, since two copies of a virtual machine would share it. */
function randomId(): Uint8Array {
  return fromUuid(randomUUID({ disableEntropyCache: true }));
}
