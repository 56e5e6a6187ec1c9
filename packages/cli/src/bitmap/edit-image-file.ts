// `qdb bitmap` on a qcow2 image. It is built into a file of its own, which is loaded for an image only.
import { type Bitmap, QdbError } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { openQcow2Store } from "@qdb/io-node/container";
import { editQcow2, type Qcow2CommitReport } from "@qdb/qcow2";
import { warnOfImageCommit, warnOfOpenImage } from "../files/image-warnings.ts";
import { about } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { actionsOf, applyActions } from "./run-actions.ts";
import { differenceOf } from "./salvage.ts";

/**
 * Does the actions of a call on a bitmap of a qcow2 image, in one commit. Warns if nothing keeps QEMU out, of bitmaps that became all dirty,
 * and of space that is lost.
 * @throws {QdbError} as `openQcow2Store` and `editQcow2`; the error of the first action that fails; ABORTED if the call is interrupted before
 * the commit
 */
export async function changeImage(path: string, name: string, call: Call): Promise<void> {
  const actions = actionsOf(call);
  const onCommit = (report: Qcow2CommitReport): void => warnOfImageCommit(path, report);
  await about(path, () => {
    const store = openQcow2Store(path);
    warnOfOpenImage(path, store);
    return editQcow2(
      store,
      async (edit, { size }) => {
        const differenceFrom = (base: string, granularity: number): Promise<Bitmap> =>
          ofOtherFiles(() => comparing(call, (options) => differenceOf(base, path, store, granularity, options)));
        await applyActions(actions, { edit, name, diskSize: size, differenceFrom }, call);
        await edit.apply();
        await ofOtherFiles(() => {
          if (call.signal.aborted) throw new QdbError("ABORTED", "the command was interrupted; nothing was changed");
        });
      },
      { onCommit },
    );
  });
}

/** Runs a comparison, and shows its progress. */
async function comparing<T>(call: Call, work: (options: LongCallOptions) => Promise<T>): Promise<T> {
  const progress = call.progress("comparing");
  try {
    return await work({ signal: call.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}
