import type { QdbEdit } from "@qdb/format";
import {
  type AnyStore,
  type ChangePlan,
  collectEdit,
  Edits,
  type EditTarget,
  type Limits,
  type Plan,
  type RunOptions,
  run,
  runSync,
} from "@qdb/format/container";
import { checkSignal, closing } from "@qdb/format/internal";
import { commitQcow2, type Qcow2CommitReport } from "./commit.ts";
import { containerOf } from "./container.ts";
import { readEditableImage } from "./editable-image.ts";

/** Options of {@link editQcow2}. */
export interface Qcow2EditOptions extends RunOptions, Limits {
  /** Called once the changes are on the disk, with what the commit had to do besides. If it throws, the edit fails, but its changes are stored. */
  readonly onCommit?: ((report: Qcow2CommitReport) => void) | undefined;
}

/** The disk of an image whose bitmaps are edited. */
export interface Qcow2Disk {
  /** Length in bytes: that of every bitmap of the image. */
  readonly size: bigint;
}

/**
 * Edits the bitmaps of a qcow2 image: calls `change`, does the actions that it queues in order, commits all of them at once, and closes the
 * store. Resolves with what `change` returns when the changes are on the disk. The store must keep other writers out, QEMU above all: see
 * `openQcow2Store` of `@qdb/io-node`. Data of the guest, snapshots, and header extensions and fields of others are left alone.
 *
 * A bitmap of an image has the length of its disk, a name, a granularity, and can be enabled. What else a QDB file holds is refused with
 * NOT_SUPPORTED: records, frozen bitmaps, and another length.
 * @throws {unknown} what `change` throws, or the error of the first action that fails: then nothing is changed; ABORTED; NOT_SUPPORTED for an
 * image of version 2, or one that is marked corrupt or dirty; OVERLAP if a cluster that is counted as free is in use; the errors of
 * `readQcow2Index`; POISONED, PATH_CHANGED and SOURCE_CHANGED if the commit fails; what closing the store throws
 * @example
 * await editQcow2(store, (edit, { size }) => {
 *   edit.add({ name: "daily", size });
 *   edit.bitmap("daily").mark({ offset: 0, length: 65536 });
 * });
 */
export async function editQcow2<T>(
  store: AnyStore,
  change: (edit: QdbEdit, disk: Qcow2Disk) => T | PromiseLike<T>,
  options: Qcow2EditOptions = {},
): Promise<T> {
  return closing({ close: () => store.close?.() }, async () => {
    checkSignal(options.signal);
    const image = await run(readEditableImage(store), store, options);
    const container = containerOf(image);
    const edits = new Edits(container, {
      newId: () => NO_ID,
      readsLater: true,
      maxBitmapBytes: options.maxBitmapBytes,
    });
    const read = <R>(plan: Plan<R>): Promise<R> => run(plan, store, options);
    const target: EditTarget = {
      edits,
      read,
      bits: (name) => read(edits.bits(name)),
      source: async (name) => edits.source(name),
    };
    const host = { randomId: () => NO_ID, withoutRecords: true, ...options };
    const size = image.image.virtualSize;
    const result = await collectEdit(target, container.bitmaps, (edit) => change(edit, { size }), host);
    const changes = await read(edits.findChanges());
    const report = changes === undefined ? UNCHANGED : await runChange(commitQcow2(image, changes), store);
    options.onCommit?.(report);
    return result;
  });
}

const UNCHANGED: Qcow2CommitReport = { madeDirty: [], leakedClusters: 0 };

/** A qcow2 image holds no ids of bitmaps, so that none is ever stored. */
const NO_ID = new Uint8Array(16);

/** Runs a plan that writes. On a synchronous store no other call runs in between. */
async function runChange<T>(plan: ChangePlan<T>, store: AnyStore): Promise<T> {
  return "readSync" in store ? runSync(plan, store) : run(plan, store);
}
