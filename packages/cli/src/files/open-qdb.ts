import {
  type BitmapEntry,
  isQdbError,
  type MirrorOptions,
  type QdbEditor,
  QdbError,
  type QdbFile,
  quote,
} from "@qdb/format";
import {
  requireSameDisk as checkDisk,
  type DiskOfBitmap,
  type EditorOpenOptions,
  openQdb,
  openQdbEditor,
} from "@qdb/io-node";
import { type Call, DISK_CHANGE, HEADER_DAMAGE } from "../shell/command.ts";
import { inFile } from "../shell/errors.ts";
import { warn } from "../shell/output.ts";

/** Does work on a QDB file; errors of the file name it and say what to do. @throws {QdbError} as the work */
export async function about<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inFile(path, error);
  }
}

/** Does work with what is open, and closes it. Of two errors the work's is the one to report: it knows what state a file is in. @throws {QdbError} as the work, or as closing */
export async function closing<T>(opened: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await opened.close().catch(() => undefined);
    throw error;
  }
  await opened.close();
  return result;
}

/** Refuses `-` where only a file will do. @throws {QdbError} USAGE */
export function requireFile(path: string): void {
  if (path !== "-") return;
  throw new QdbError(
    "USAGE",
    "- (standard input or output) is not possible here; name a file, or ./- for one of that name",
  );
}

/** Opens a QDB file for reading; warns where it is read through its mirror. @throws {QdbError} as `openQdb` */
export async function openFile(
  path: string,
  { signal }: Pick<Call, "signal">,
  options: MirrorOptions = {},
): Promise<QdbFile> {
  requireFile(path);
  let isSaid = false;
  const onMirror = (): void => {
    if (!isSaid) warnOfMirror(path, "qdb check -r repairs it");
    isSaid = true;
  };
  return about(path, () => openQdb(path, { signal, onMirror, ...options }));
}

/** Opens a QDB file for changes; warns where it is opened through its mirror. @throws {QdbError} as `openQdbEditor` */
export async function openEditor(path: string, options: EditorOpenOptions = {}): Promise<QdbEditor> {
  requireFile(path);
  const editor = await openQdbEditor(path, options);
  if (editor.state.index.headerSource === "mirror")
    warnOfMirror(path, "whatever is stored now makes what the mirror says the file's state");
  return editor;
}

/** Says that a file was read through its mirror, and what may be wrong with that. */
export function warnOfMirror(path: string, advice: string): void {
  warn(
    `the header of ${quote(path)} is damaged or cannot be read, and its mirror was used: bits that show as clean can be those of a change that was never acknowledged; ${advice}`,
  );
}

/** What is done with bits that were found through a mirror, as the call has it. */
export function mirrorOptions(call: Pick<Call, "has">): MirrorOptions {
  return { acceptMirror: call.has(HEADER_DAMAGE.long) };
}

/** What a bitmap records about its disk. */
export function diskOf(entry: BitmapEntry): DiskOfBitmap {
  return { label: entry.label, records: entry.parseRecords() };
}

/** Refuses a bitmap whose disk is another one, changed, or cannot be looked at, unless told. @throws {QdbError} WRONG_DISK, IO */
export function requireSameDisk(bitmap: DiskOfBitmap, call: Pick<Call, "has">): void {
  if (call.has(DISK_CHANGE.long)) return;
  try {
    checkDisk(bitmap);
  } catch (error) {
    throw insisting(error);
  }
}

/** The error about a bitmap's disk, with the option that overrules it. */
export function insisting(error: unknown): unknown {
  if (!isQdbError(error)) return error;
  const message = `${error.message}, or insist with --${DISK_CHANGE.long}`;
  return new QdbError(error.code, message, error.where, { cause: error });
}
