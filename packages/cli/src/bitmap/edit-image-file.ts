// `qdb bitmap` on a qcow2 image. It is built into a file of its own, which is loaded for an image only.
import { QdbError, quote } from "@qdb/format";
import { openQcow2Store } from "@qdb/io-node/container";
import { editQcow2, type Qcow2CommitReport } from "@qdb/qcow2";
import { warnOfDoubt } from "../files/commit-warnings.ts";
import { about } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { warn } from "../shell/output.ts";
import { actionsOf, applyActions } from "./run-actions.ts";

/**
 * Does the actions of a call on a bitmap of a qcow2 image, in one commit. Warns if nothing keeps QEMU out, of bitmaps that became all dirty,
 * and of space that is lost.
 * @throws {QdbError} as `openQcow2Store` and `editQcow2`; the error of the first action that fails; ABORTED if the call is interrupted before
 * the commit
 */
export async function changeImage(path: string, name: string, call: Call): Promise<void> {
  const actions = actionsOf(call);
  const onCommit = (report: Qcow2CommitReport): void => warnOfCommit(path, report);
  await about(path, () => {
    const store = openQcow2Store(path);
    if (!store.qemuLocks.held) {
      warn(
        `nothing keeps QEMU from opening ${quote(path)} meanwhile: ${store.qemuLocks.reason}; see that none does, or install koffi beside qdb: npm install koffi`,
      );
    }
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

function warnOfCommit(path: string, { madeDirty, leakedClusters }: Qcow2CommitReport): void {
  warnOfDoubt(madeDirty, "shared a cluster with something else, so that all of it is dirty now");
  if (leakedClusters === 0) return;
  warn(
    `${leakedClusters} clusters of ${quote(path)} that a bitmap had are not given back, since something else may use them; qemu-img check -r leaks gives back those that nothing uses`,
  );
}
