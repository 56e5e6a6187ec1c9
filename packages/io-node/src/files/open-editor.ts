import { type Limits, type MirrorOptions, QdbEditor } from "@qdb/format/container";
import { closingOnError } from "@qdb/format/internal";
import { type DiskOptions, refuseOtherDisks } from "../disk/disk-state.ts";
import { nodeDigests } from "../system/digests.ts";
import { randomId } from "../system/random-id.ts";
import { openFileStore } from "./file-store.ts";

/** Options of {@link openQdbEditor}. */
export interface EditorOpenOptions extends Limits, MirrorOptions, DiskOptions {
  /** Whether the file is opened for a repair. A file whose primary header has bad magic is then opened by its mirror. */
  readonly repair?: boolean | undefined;
}

/**
 * Opens a QDB file or block device for changes, and locks it; Node computes the checksums. Closing the editor releases the lock.
 *
 * `bits`, which reads the source of a merge, for example, compares the disk of that bitmap with the bitmap's stamp, as `openQdb` does, and
 * throws WRONG_DISK or IO. The disk of a bitmap that is changed is not compared.
 * @throws {QdbError} LOCKED, NOT_FOUND, USAGE, NOT_SUPPORTED, LIMIT, IO as {@link openFileStore}; USAGE if `disk` is not a possible path;
 * then the first error of the file (spec §7)
 */
export async function openQdbEditor(path: string, { disk, ...options }: EditorOpenOptions = {}): Promise<QdbEditor> {
  const beforeBits = refuseOtherDisks({ disk });
  const store = openFileStore(path);
  return closingOnError(store, () => QdbEditor.open(store, { digests: nodeDigests, randomId, ...options, beforeBits }));
}
