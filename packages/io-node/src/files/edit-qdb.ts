import type { QdbEdit } from "@qdb/format";
import { type EditCallOptions, editStore, type Limits, type MirrorOptions } from "@qdb/format/container";
import { type DiskOptions, refuseOtherDisks } from "../disk/disk-state.ts";
import { nodeDigests } from "../system/digests.ts";
import { randomId } from "../system/random-id.ts";
import { openFileStore } from "./file-store.ts";

/** Options of {@link editQdb}. */
export interface QdbEditOptions extends EditCallOptions, Limits, MirrorOptions, DiskOptions {}

/**
 * Edits a QDB file or block device: calls `change`, does the actions that it queues on the bitmaps, in order, and commits them at once, all
 * of them or none. Resolves with what `change` returns when the changes are on the disk. The file is locked meanwhile: no other writer can
 * open it, readers can. Where bits of the file are read, as by `read()` and for the source of a merge, the disk of their bitmap is
 * compared with its stamp first, as `openQdb` does; the disk of a bitmap that is changed is not.
 *
 * `change` may take as long as a backup does. No other writer, such as a collector, can open the file meanwhile. If one must, freeze the
 * bitmap, back it up outside of an edit, and release it: see `BitmapEdit.freeze`.
 * @throws {unknown} what `change` throws, or else the error of the first action that fails: the file is as it was then; LOCKED at once if
 * another edit has the file open, in this process or another one; NOT_FOUND, USAGE, NOT_SUPPORTED, LIMIT, IO as {@link openFileStore};
 * USAGE if `disk` is no possible path; the first error of the file (spec §7); ABORTED; POISONED if the commit fails, and PATH_CHANGED: the
 * message says which state the file is in
 * @example
 * const bytes = await editQdb("vm.qdb", async (edit) => {
 *   if (!edit.has("daily")) edit.add({ name: "daily", size: 100n * 2n ** 30n });
 *   const daily = edit.bitmap("daily");
 *   daily.mark({ offset: 0, length: 65536 });
 *   return (await daily.read()).dirtyBytes();
 * });
 * @example
 * // Backs up, then clears. If the backup fails or is aborted, the bitmap keeps its dirty bits.
 * await editQdb("vm.qdb", async (edit) => {
 *   const daily = edit.bitmap("daily");
 *   await copyExtents(() => daily.read(), "/vm/disk.raw", "/backup/disk.raw", { signal });
 *   daily.clear();
 * }, { disk: "/vm/disk.raw", signal });
 */
export async function editQdb<T>(
  path: string,
  change: (edit: QdbEdit) => T | PromiseLike<T>,
  { disk, ...options }: QdbEditOptions = {},
): Promise<T> {
  const beforeBits = refuseOtherDisks({ disk });
  return editStore(openFileStore(path), change, { digests: nodeDigests, randomId, ...options, beforeBits });
}
