import type { QdbEdit } from "@qdb/format";
import {
  type BitsOptions,
  type EditCallOptions,
  editStore,
  type Limits,
  type MirrorOptions,
} from "@qdb/format/container";
import type { OpfsPath } from "../opfs/opfs-path.ts";
import { openOpfsStore } from "../opfs/opfs-store.ts";
import { randomId } from "../system/random-id.ts";

/** Options of {@link editQdb}. */
export interface QdbEditOptions extends EditCallOptions, Limits, MirrorOptions, BitsOptions {}

/**
 * Edits a QDB file of the origin private file system: calls `change`, does the actions that it queues on the bitmaps, in order, and commits
 * them at once, all of them or none. Resolves with what `change` returns when the changes are on the disk. The file is locked meanwhile: no
 * other tab can open it for writing, readers can.
 * @throws {unknown} what `change` throws, or else the error of the first action that fails: the file is as it was then; LOCKED, NOT_FOUND,
 * USAGE, NOT_SUPPORTED, IO as {@link openOpfsStore}; the first error of the file (spec §7); ABORTED; POISONED if the commit fails, and the
 * message says which state the file is in
 * @example
 * await editQdb("opfs:vm.qdb", (edit) => edit.bitmap("daily").mark({ offset: 0, length: 65536 }));
 */
export async function editQdb<T>(
  path: OpfsPath,
  change: (edit: QdbEdit) => T | PromiseLike<T>,
  options: QdbEditOptions = {},
): Promise<T> {
  return editStore(await openOpfsStore(path), change, { randomId, ...options });
}
