import { type CommitReport, type QdbEdit, QdbError, type QdbFile, quote } from "@qdb/format";
import type { BitmapEntry, MirrorOptions, QdbEditor } from "@qdb/format/container";
import { type DiskOfBitmap, type DiskOptions, editQdb, openQdb } from "@qdb/io-node";
import { openQdbEditor } from "@qdb/io-node/container";
import { type Call, DISK_CHANGE, HEADER_DAMAGE } from "../shell/command.ts";
import { inFile, ofOtherFiles } from "../shell/errors.ts";
import { warn } from "../shell/output.ts";
import { warnOfDamage } from "./commit-warnings.ts";

/** Runs work on a QDB file. Adds the name of the file and advice to its errors. @throws {QdbError} as the work */
export async function about<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inFile(path, error);
  }
}

/** Refuses `-`, for a command that cannot use standard input or output. @throws {QdbError} USAGE */
export function requireFile(path: string): void {
  if (path !== "-") return;
  throw new QdbError(
    "USAGE",
    "- (standard input or output) is not possible here; name a file, or ./- for one of that name",
  );
}

/** Opens a QDB file for reading. Warns when it is read by its mirror header. @throws {QdbError} as `openQdb` */
export async function openFile(
  path: string,
  { signal }: Pick<Call, "signal">,
  options: MirrorOptions & DiskOptions = {},
): Promise<QdbFile> {
  requireFile(path);
  let isSaid = false;
  const onMirror = (): void => {
    if (!isSaid) warnOfMirror(path, "qdb check -r repairs it");
    isSaid = true;
  };
  return about(path, () => openQdb(path, { signal, onMirror, ...options }));
}

/**
 * Edits a QDB file in one commit. Warns when it is opened by its mirror header, and of damage that the commit made all dirty.
 * @throws {QdbError} as `editQdb`; ABORTED if the call is interrupted before the commit
 */
export async function editFile<T>(
  path: string,
  { signal }: Pick<Call, "signal">,
  change: (edit: QdbEdit) => Promise<T>,
  options: MirrorOptions & DiskOptions = {},
): Promise<T> {
  requireFile(path);
  const apply = async (edit: QdbEdit): Promise<T> => {
    const result = await change(edit);
    await edit.apply();
    await ofOtherFiles(() => {
      if (signal.aborted) throw new QdbError("ABORTED", "the command was interrupted; nothing was changed");
    });
    return result;
  };
  const onMirror = (): void => warnOfNewState(path);
  const onCommit = (report: CommitReport): void => warnOfDamage(path, report);
  return about(path, () => editQdb(path, apply, { ...options, onMirror, onCommit }));
}

/** Opens a QDB file for a repair. Warns when it is opened by its mirror header. @throws {QdbError} as `openQdbEditor` */
export async function openForRepair(path: string): Promise<QdbEditor> {
  requireFile(path);
  const editor = await openQdbEditor(path, { repair: true });
  if (editor.state.index.headerSource === "mirror") warnOfNewState(path);
  return editor;
}

function warnOfNewState(path: string): void {
  warnOfMirror(path, "whatever is stored now makes what the mirror says the file's state");
}

/** Warns that a file was read by its mirror header, and what that can mean for its bits. */
export function warnOfMirror(path: string, advice: string): void {
  warn(
    `the header of ${quote(path)} is damaged or cannot be read, and its mirror was used: bits that show as clean can be those of a change that was never acknowledged; ${advice}`,
  );
}

/** Whether bits may be read by a mirror header, according to the options of the call. */
export function mirrorOptions(call: Pick<Call, "has">): MirrorOptions {
  return { acceptMirror: call.has(HEADER_DAMAGE.long) };
}

/** Whether bits may be read although the disk differs from its stamp, according to the options of the call. */
export function diskOptions(call: Pick<Call, "has">): DiskOptions {
  return call.has(DISK_CHANGE.long) ? { disk: "ignore" } : {};
}

/** Returns what a bitmap records about its disk. */
export function diskOf(entry: BitmapEntry): DiskOfBitmap {
  return { label: entry.label, records: entry.parseRecords() };
}
