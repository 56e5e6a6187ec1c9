// `qdb bitmap` on a qcow2 image. It is built into a file of its own, which is loaded for an image only.
import { QdbError } from "@qdb/format";
import { openQcow2Store } from "@qdb/io-node/container";
import { editQcow2, type Qcow2CommitReport } from "@qdb/qcow2";
import { warnOfImageCommit, warnOfOpenImage } from "../files/image-warnings.ts";
import { about } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { actionsOf, applyActions } from "./run-actions.ts";

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
        await applyActions(actions, { edit, name, diskSize: size }, call);
        await edit.apply();
        await ofOtherFiles(() => {
          if (call.signal.aborted) throw new QdbError("ABORTED", "the command was interrupted; nothing was changed");
        });
      },
      { onCommit },
    );
  });
}
