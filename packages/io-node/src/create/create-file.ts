import { linkSync, unlinkSync } from "node:fs";
import { type FileImage, QdbError, quote } from "@qdb/format";
import { alreadyExists, errnoOf, fromNode } from "../system/errors.ts";
import { leadsTo, statusIfThere } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { lockedError } from "../system/lock-state.ts";
import { LongCall, type LongCallOptions } from "../system/long-call.ts";
import { syncDirectory } from "../system/sync-directory.ts";
import { requireWritableHost } from "../system/writable-host.ts";
import { createOnDevice } from "./create-device.ts";
import { primaryOf, writeFrom } from "./image-writer.ts";
import { createTemporary, withoutNames } from "./temporary.ts";

/**
 * Creates a file completely or not at all, and flushes it to the disk (spec §5, Creation): a temporary file beside it, locked, fsync, link(2) without overwriting, fsync of the directory. Where links are impossible the
 * file is written in place, header last. A block device is written in place too.
 * Never overwrites a file. Progress counts bytes of the image, and restarts where the file is written in place after all.
 *
 * @throws {QdbError} ALREADY_EXISTS, also for a device that begins with a QDB header; NOT_FOUND without its directory;
 * USAGE for a directory and the like; LIMIT for a device that is too small; LOCKED for one that is in use;
 * NOT_SUPPORTED on other hosts than Linux and without util-linux's flock; ABORTED; IO; PATH_CHANGED when the new file was removed or replaced meanwhile. After an
 * error the file does not exist, unless the message says otherwise. A file that another program put in its place is kept
 */
export async function createFile(path: string, image: FileImage, options: LongCallOptions = {}): Promise<void> {
  requireWritableHost();
  const existing = statusIfThere(path);
  if (existing?.kind === "file") throw alreadyExists(path);
  const call = new LongCall(options);
  call.checkSignal();
  if (existing?.kind === "block") await createOnDevice(path, image, call);
  else if (!(await createByLink(path, image, call))) await createInPlace(path, image, call);
  call.finish(image.length);
}

/** Returns false, leaving no file behind, where the file system has no hard links. */
async function createByLink(path: string, image: FileImage, call: LongCall): Promise<boolean> {
  const { name, file, key } = createTemporary(path, (temporary) => Handle.create(temporary, path));
  const made = [name];
  return making(file, key, made, async () => {
    file.truncate(image.length);
    await writeFrom(file, image, 0, "holes", call);
    file.sync();
    call.checkSignal();
    // A network file system can report a failure although the link was made.
    made.push(path);
    const linked = link(name, path);
    remove(name);
    if (linked) confirmName(file);
    return linked;
  });
}

async function createInPlace(path: string, image: FileImage, call: LongCall): Promise<void> {
  const file = Handle.create(path, path);
  const { key } = file.status();
  await making(file, key, [path], async () => {
    if (!file.lock()) throw lockedError(path, key);
    const primary = primaryOf(image);
    file.truncate(image.length);
    await writeFrom(file, image, primary.length, "holes", call);
    file.sync();
    file.write(primary, 0);
    file.sync();
    confirmName(file);
  });
}

/** Runs `make`, then closes the file. After any error, including one of closing, removes the names in `made`. */
async function making<T>(file: Handle, key: string, made: readonly string[], make: () => Promise<T>): Promise<T> {
  try {
    const result = await make();
    file.close();
    return result;
  } catch (error) {
    // Before closing: afterwards another file can get the same inode number.
    const reported = withoutNames(error, file.path, made, key);
    file.closeAfterError();
    throw reported;
  }
}

/** Flushes the name of a new file, and checks that the name still leads to the file. @throws {QdbError} PATH_CHANGED, IO */
function confirmName(file: Handle): void {
  syncDirectory(file.path);
  if (leadsTo(file.path, file.status().key)) return;
  const message = `${quote(file.path)} was made, but the path no longer names it: it was removed, moved or replaced meanwhile`;
  throw new QdbError("PATH_CHANGED", message);
}

/** Errors of link(2) on a file system without hard links, or with none left. */
const NO_LINKS: readonly (string | undefined)[] = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV"];

function link(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (NO_LINKS.includes(errnoOf(error))) return false;
    throw fromNode(error, "create", path);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    throw fromNode(error, "remove", path);
  }
}
