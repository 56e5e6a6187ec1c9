// `qdb import` of a shell that `qdb export --to qcow2-shell` made. It is built into a file of its own, which is loaded for a shell only.
import { linkSync, statSync, unlinkSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type DiskStamp, QdbError, type QdbFile, quote } from "@qdb/format";
import { bitmapPlan, run, toUuid } from "@qdb/format/container";
import { closing, percent, shortSize } from "@qdb/format/internal";
import { editQdb, lookAtDisk, openQdb, requireComparableTimes } from "@qdb/io-node";
import { openQcow2Store, type Qcow2Store, syncDirectory } from "@qdb/io-node/container";
import { collectedBitmaps, dataFileOf, type Qcow2Index, readQcow2Index, type ShellFile, sessionOf } from "@qdb/qcow2";
import { warnOfOpenImage } from "../files/image-warnings.ts";
import { about } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";

/** Options of `qdb import` that have no meaning for a shell. */
const OTHERS = ["bitmap", "merge", "replace", "inconsistent", "granularity", "size", "disk", "dirty"];

/**
 * Takes the bits that QEMU collected in a shell: stored bits or those of the shell, in one commit that ends the session. The shell is renamed
 * first, so that no machine runs on it any more. Anything in doubt is refused: the bitmaps stay in use then, and nothing is renamed.
 * @throws {QdbError} INCONSISTENT if the shell is not that of the session, or the disk was written to after it; as
 * `openQcow2Store`, `collectedBitmaps` and `editQdb`
 */
export async function collectShell(shell: string, path: string, call: Call): Promise<void> {
  const other = OTHERS.find((option) => call.has(option));
  if (other !== undefined)
    throw new QdbError("USAGE", `--${other} has no meaning for a shell: it is taken whole, as it was made`);
  const store = openQcow2Store(shell);
  await closing(store, async () => {
    warnOfOpenImage(shell, store);
    const { source, disk, closedNs } = await ofOtherFiles(() => about(shell, () => openShell(shell, store, call)));
    const stamp = lookAtDisk(disk).diskStamp;
    let spent = "";
    let lines: readonly string[] = [];
    await about(path, () =>
      editQdb(
        path,
        async (edit) => {
          const { fileId, bitmaps } = await waitingBitmaps(path);
          const collected = await ofOtherFiles(() => about(shell, () => collectedBitmaps(source, { fileId, bitmaps })));
          if (!call.has("collected")) await ofOtherFiles(() => requireOlder(disk, shell, closedNs));
          const end = { id: source.session.id, file: source.inode };
          lines = await Promise.all(
            collected.map(async ({ name, size, from }) => {
              const bits = (await run(bitmapPlan(from.map()), store, call)).resize(size, { newArea: "clean" });
              edit.bitmap(name).endSession(end, bits, { diskStamp: stamp });
              return lineOf(name, bits.dirtyBytes(), size);
            }),
          );
          await edit.apply();
          await ofOtherFiles(() => {
            requireSameStamp(disk, stamp);
            store.confirmSync();
            spent = renameAside(shell);
          });
        },
        { disk: "ignore", signal: call.signal },
      ),
    );
    for (const line of lines) call.output.line(line);
    call.output.line(
      `the shell is spent, and is ${quote(spent)} now; remove it, and export a new one for the next run`,
    );
  });
}

/** Reads a shell. @throws {QdbError} as {@link collectShell} */
async function openShell(
  shell: string,
  store: Qcow2Store,
  call: Call,
): Promise<{ readonly source: ShellFile; readonly disk: string; readonly closedNs: bigint }> {
  const stats = statSync(shell, { bigint: true });
  const index: Qcow2Index = await run(readQcow2Index(store.size), store, call);
  const session = sessionOf(index);
  const dataFile = dataFileOf(index);
  if (session === undefined || dataFile === undefined)
    throw new QdbError("INCONSISTENT", "the image is no shell that qdb export made");
  const disk = resolve(dirname(shell), dataFile);
  return { source: { index, session, inode: stats.ino }, disk, closedNs: stats.mtimeNs };
}

/** Refuses a disk that was written to after the shell was closed. @throws {QdbError} INCONSISTENT; as `requireComparableTimes` */
function requireOlder(disk: string, shell: string, closedNs: bigint): void {
  requireComparableTimes(disk, shell);
  if (statSync(disk, { bigint: true }).mtimeNs <= closedNs) return;
  const message = `the disk ${quote(disk)} was written to after the shell was closed, by something that did not collect; the bitmaps stay in use, and qdb bitmap --mark-all makes them usable`;
  throw new QdbError("INCONSISTENT", message, { structure: "disk" });
}

/** Returns id and bitmaps of the QDB file. The caller has its lock. @throws {QdbError} as `openQdb` */
async function waitingBitmaps(path: string): Promise<Parameters<typeof collectedBitmaps>[1]> {
  const file = await openQdb(path, { disk: "ignore" });
  return closing(file, async () => ({
    fileId: fileIdOf(file),
    bitmaps: file.bitmaps.map(({ label, id, size, inUse, session }) => ({ name: label, id, size, inUse, session })),
  }));
}

function fileIdOf({ index }: QdbFile): string {
  return index.form === "draft" ? "" : toUuid(index.header.fileId);
}

function requireSameStamp(disk: string, before: DiskStamp): void {
  const { diskStamp } = lookAtDisk(disk);
  const isSame =
    diskStamp.length === before.length && diskStamp.mtime === before.mtime && diskStamp.file === before.file;
  if (!isSame)
    throw new QdbError("SOURCE_CHANGED", `the disk ${quote(disk)} was written to meanwhile; stop what writes to it`);
}

/** Renames the shell, so that nothing is started on it, and returns its new name. @throws {QdbError} IO */
function renameAside(shell: string): string {
  for (let number = 1; ; number++) {
    const spent = `${shell}.spent-${number}`;
    try {
      linkSync(shell, spent);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw new QdbError(
        "IO",
        `cannot rename ${quote(shell)}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    unlinkSync(shell);
    syncDirectory(shell);
    return spent;
  }
}

function lineOf(name: string, dirty: bigint, size: bigint): string {
  return `${quote(name)}: the shell has ${shortSize(dirty)} of ${shortSize(size)} dirty (${percent(dirty, size)})`;
}
