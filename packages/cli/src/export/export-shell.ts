import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { type Bitmap, type QdbEdit, QdbError, type QdbFile, quote, type StoredBitmap } from "@qdb/format";
import { toUuid } from "@qdb/format/container";
import { closing } from "@qdb/format/internal";
import { editQdb, isOfDisk, lookAtDisk, openQdb, requireComparableTimes, requireSameDisk } from "@qdb/io-node";
import { PreparedFile, randomId } from "@qdb/io-node/container";
import { editQcow2, newShell, shellSize } from "@qdb/qcow2";
import { requireNewOutput } from "../files/new-output.ts";
import { about } from "../files/open-qdb.ts";
import { requireRaw } from "../files/raw-images.ts";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { withoutClose, writeWhole } from "./new-image-file.ts";

/**
 * Makes a shell: a qcow2 image over a raw disk in which QEMU collects for every enabled bitmap of the disk. The shell is complete before the
 * bitmaps are in use for it, and gets its name after that. The disk is never opened for writing.
 * @throws {QdbError} WRONG_DISK, INCONSISTENT or the code of the first problem of a bitmap whose bits cannot be trusted; SIZE_MISMATCH;
 * NOT_FOUND if no enabled bitmap is of the disk; ALREADY_EXISTS for the shell; as `editQdb`
 */
export async function exportShell(path: string, shell: string, call: Call): Promise<void> {
  const disk = call.value("data-file");
  if (disk === undefined)
    throw new QdbError(
      "USAGE",
      "--data-file DISK is missing: the raw disk for which the shell is; try: qdb export --help",
    );
  if (call.has("bitmap")) throw new QdbError("USAGE", "a shell takes every enabled bitmap of the disk; leave -B out");
  requireNewOutput(shell);
  requireRaw(disk, "a shell is for a raw disk");
  if (!call.has("collected")) requireComparableTimes(disk, dirname(shell));
  const { disk: dataFile, size, diskStamp } = lookAtDisk(disk);
  let prepared: PreparedFile | undefined;
  try {
    await about(path, () =>
      editQdb(
        path,
        async (edit) => {
          const { chosen, fileId } = await enabledBitmaps(path, disk, size);
          const session = toUuid(randomId());
          const bitmaps = await readAll(edit, chosen, disk);
          prepared = await ofOtherFiles(() => makeShell(shell, { dataFile, size, session, fileId }, bitmaps));
          requireUnchanged(disk, diskStamp);
          for (const { name } of bitmaps) edit.bitmap(name).beginSession({ id: session, file: prepared.inode });
          await edit.apply();
        },
        { disk, signal: call.signal },
      ),
    );
  } catch (error) {
    throw prepared?.discard(error) ?? error;
  }
  finish(prepared);
  call.output.line(
    `start QEMU with: -blockdev driver=qcow2,node-name=disk0,file.driver=file,file.filename=${quote(realpathSync(shell))}`,
  );
  call.output.line(`then take back what it collected: qdb import ${quote(shell)} ${quote(path)}`);
}

/** Gives the shell its name, now that the bitmaps are in use for it. */
function finish(prepared: PreparedFile | undefined): void {
  if (prepared === undefined) throw new Error("an edit that succeeded has made the shell");
  try {
    prepared.finish();
  } catch (error) {
    if (!(error instanceof QdbError)) throw error;
    const message = `${error.message}; the bitmaps are in use for a shell that is not there: qdb bitmap --mark-all makes each of them usable again`;
    throw new QdbError(error.code, message, error.where, { cause: error });
  }
}

/** A bitmap for which the shell collects. */
interface ShellBitmap {
  readonly name: string;
  readonly id: string | undefined;
  readonly bits: Bitmap;
}

/** Returns the enabled bitmaps of a disk. The caller has the lock of the file, which nobody changes meanwhile. @throws {QdbError} as {@link exportShell} */
async function enabledBitmaps(
  path: string,
  disk: string,
  size: bigint,
): Promise<{ readonly chosen: readonly StoredBitmap[]; readonly fileId: string }> {
  const file = await openQdb(path, { disk: "ignore" });
  return closing(file, async () => {
    const chosen = file.bitmaps.filter((bitmap) => bitmap.enabled && isFor(bitmap, disk, size));
    if (chosen.length === 0) {
      const message = `no enabled bitmap is of the disk ${quote(disk)} of ${size} bytes; add one: qdb bitmap --add --disk ${quote(disk)}`;
      throw new QdbError("NOT_FOUND", message);
    }
    return { chosen, fileId: fileIdOf(file) };
  });
}

/** Whether a bitmap is of a disk: its record says so, or says nothing and the length is that of the disk. @throws {QdbError} SIZE_MISMATCH if only the record says so */
function isFor(bitmap: StoredBitmap, disk: string, size: bigint): boolean {
  const isSame = isOfDisk({ records: bitmap.records }, disk);
  if (isSame === false) return false;
  if (bitmap.size === size) return true;
  if (isSame === undefined) return false;
  const message = `the bitmap is of ${bitmap.size} bytes of the disk ${quote(disk)}, which has ${size} now; resize it, or disable it`;
  throw new QdbError("SIZE_MISMATCH", message, { bitmap: bitmap.label });
}

function fileIdOf({ index }: QdbFile): string {
  if (index.form === "draft")
    throw new QdbError(
      "NOT_SUPPORTED",
      "a draft has no id; any change makes it a full file: qdb bitmap --enable of a bitmap, for example",
    );
  return toUuid(index.header.fileId);
}

async function readAll(edit: QdbEdit, chosen: readonly StoredBitmap[], disk: string): Promise<readonly ShellBitmap[]> {
  const bitmaps: ShellBitmap[] = [];
  for (const bitmap of chosen) {
    requireSameDisk(bitmap, disk);
    bitmaps.push({ name: bitmap.label, id: bitmap.id, bits: await edit.bitmap(bitmap.label).read() });
  }
  return bitmaps;
}

/** Refuses a disk that was written to since it was looked at. @throws {QdbError} SOURCE_CHANGED */
function requireUnchanged(disk: string, before: ReturnType<typeof lookAtDisk>["diskStamp"]): void {
  const { diskStamp } = lookAtDisk(disk);
  const isSame =
    diskStamp.length === before.length && diskStamp.mtime === before.mtime && diskStamp.file === before.file;
  if (!isSame)
    throw new QdbError("SOURCE_CHANGED", `the disk ${quote(disk)} was written to meanwhile; stop what writes to it`);
}

/** Makes the shell under a temporary name, whole and on the disk. @throws {QdbError} as making a file */
async function makeShell(
  shell: string,
  {
    dataFile,
    size,
    session,
    fileId,
  }: { readonly dataFile: string; readonly size: bigint; readonly session: string; readonly fileId: string },
  bitmaps: readonly ShellBitmap[],
): Promise<PreparedFile> {
  const file = new PreparedFile(shell);
  try {
    writeWhole(file, newShell({ size, dataFile, session: { fileId, id: session, bitmaps } }));
    await editQcow2(withoutClose(file), (edit) => {
      for (const { name, bits } of bitmaps)
        edit.add({ name, bits: bits.resize(shellSize(size), { newArea: "clean" }) });
    });
    file.flushSync();
  } catch (error) {
    throw file.discard(error);
  }
  return file;
}
