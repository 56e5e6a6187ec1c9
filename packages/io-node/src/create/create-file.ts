import { linkSync, unlinkSync } from "node:fs";
import { type FileImage, QdbError, quote } from "@qdb/format";
import { syncDirectory } from "../system/directory.ts";
import { alreadyExists, errnoOf, fromNode } from "../system/errors.ts";
import { factsIfThere, leadsTo } from "../system/facts.ts";
import { Handle } from "../system/handle.ts";
import { requireWritableHost } from "../system/host.ts";
import { lockedError } from "../system/lock-state.ts";
import { type LongCallOptions, Pace } from "../system/pace.ts";
import { createOnDevice } from "./create-device.ts";
import { primaryOf, writeFrom } from "./image-writer.ts";
import { createTemporary, withoutNames } from "./temporary.ts";

/**
 * Makes a new file that is there whole or not at all, and on the disk when this returns (spec §5, Creation): a
 * temporary file beside it, locked, fsync, link(2) without overwriting, fsync of the directory. Where links are impossible the
 * file is written in place, its header last. A path that leads to a block device is written to it, header last too.
 * Nothing that exists is overwritten. Progress counts bytes of the image, and begins anew where it is written in place.
 *
 * @throws {QdbError} ALREADY_EXISTS, also for a device that begins with a QDB header; NOT_FOUND without its directory;
 * USAGE for a directory and the like; LIMIT for a device that is too small; LOCKED for one that is in use;
 * NOT_SUPPORTED on other hosts than Linux and without util-linux's flock; ABORTED; IO; PATH_CHANGED when the new file was removed or replaced meanwhile. After any of
 * them the file is not there, or the message says so; what another program put in its place stays
 */
export async function createFile(path: string, image: FileImage, options: LongCallOptions = {}): Promise<void> {
  requireWritableHost();
  const existing = factsIfThere(path);
  if (existing?.kind === "file") throw alreadyExists(path);
  const pace = new Pace(options);
  pace.checkSignal();
  if (existing?.kind === "block") await createOnDevice(path, image, pace);
  else if (!(await createByLink(path, image, pace))) await createInPlace(path, image, pace);
  pace.finish(image.length);
}

/** False where the file system has no links; nothing is left then. */
async function createByLink(path: string, image: FileImage, pace: Pace): Promise<boolean> {
  const { name, file, key } = createTemporary(path, (temporary) => Handle.create(temporary, path));
  const made = [name];
  return making(file, key, made, async () => {
    file.truncate(image.length);
    await writeFrom(file, image, 0, "holes", pace);
    file.sync();
    pace.checkSignal();
    // Where link(2) fails, it may be made all the same: a network file system that lost the answer.
    made.push(path);
    const linked = link(name, path);
    remove(name);
    if (linked) confirmName(file);
    return linked;
  });
}

async function createInPlace(path: string, image: FileImage, pace: Pace): Promise<void> {
  const file = Handle.create(path, path);
  const { key } = file.facts();
  await making(file, key, [path], async () => {
    if (!file.lock()) throw lockedError(path, key);
    const primary = primaryOf(image);
    file.truncate(image.length);
    await writeFrom(file, image, primary.length, "holes", pace);
    file.sync();
    file.write(primary, 0);
    file.sync();
    confirmName(file);
  });
}

/** Makes a file, and closes it. After an error, be it one of closing, the names in `made` are removed. */
async function making<T>(file: Handle, key: string, made: readonly string[], make: () => Promise<T>): Promise<T> {
  try {
    const result = await make();
    file.close();
    return result;
  } catch (error) {
    // Before it is closed: from then on another file can get its inode number.
    const reported = withoutNames(error, file.path, made, key);
    file.closeAfterError();
    throw reported;
  }
}

/** Flushes the name of a new file, and looks whether the file still has it. @throws {QdbError} PATH_CHANGED, IO */
function confirmName(file: Handle): void {
  syncDirectory(file.path);
  if (leadsTo(file.path, file.facts().key)) return;
  const message = `${quote(file.path)} was made, but the path no longer names it: it was removed, moved or replaced meanwhile`;
  throw new QdbError("PATH_CHANGED", message);
}

/** What file systems without hard links, or with all of them used up, say to link(2). */
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
