import { quote } from "@qdb/format";
import type { Qcow2Store } from "@qdb/io-node/container";
import type { Qcow2CommitReport } from "@qdb/qcow2";
import { warn } from "../shell/output.ts";
import { warnOfDoubt } from "./commit-warnings.ts";

/** Warns if nothing keeps QEMU out of an image that is changed. */
export function warnOfOpenImage(path: string, { qemuLocks }: Pick<Qcow2Store, "qemuLocks">): void {
  if (qemuLocks.held) return;
  warn(
    `nothing keeps QEMU from opening ${quote(path)} meanwhile: ${qemuLocks.reason}; see that none does, or install koffi beside qdb: npm install koffi`,
  );
}

/** Warns of bitmaps of an image that became all dirty, and of space that is lost. */
export function warnOfImageCommit(path: string, { madeDirty, leakedClusters }: Qcow2CommitReport): void {
  warnOfDoubt(madeDirty, "shared a cluster with something else, so that all of it is dirty now");
  if (leakedClusters === 0) return;
  warn(
    `${leakedClusters} clusters of ${quote(path)} that a bitmap had are not given back, since something else may use them; qemu-img check -r leaks gives back those that nothing uses`,
  );
}
