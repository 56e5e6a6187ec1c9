import { linkSync, unlinkSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";
import type { FileImage, LongCallOptions } from "@qdb/format/container";
import { closingOnError, closingOnErrorSync, LongCall } from "@qdb/format/internal";
import { alreadyExists, errnoOf, fromNode, withRemark } from "../system/errors.ts";
import { leadsTo, statusIfThere } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { lockedError } from "../system/lock-state.ts";
import { syncDirectory } from "../system/sync-directory.ts";
import { requireWritableHost } from "../system/writable-host.ts";
import { createOnDevice } from "./create-device.ts";
import { WithoutHeader, type WriteFile, writerOf } from "./new-file.ts";
import { createTemporary, withoutNames } from "./temporary.ts";

/**
 * Creates a file completely or not at all, and flushes it to the disk (spec §5, Creation). An existing file is never overwritten.
 *
 * The file is written under a temporary name in the same directory, which is locked; then it is flushed, linked to its name by link(2),
 * which fails if the name exists, and the directory is flushed. On a file system without hard links the file is written under its own name,
 * the header last, and so is a block device. Progress counts bytes of the image; it starts again if the first way fails for lack of links.
 *
 * @throws {QdbError} ALREADY_EXISTS, also for a device that begins with a QDB header; NOT_FOUND if the directory does not exist; USAGE for
 * a directory and other kinds of file; LIMIT for a device that is too small; LOCKED for a device or temporary file that is in use;
 * NOT_SUPPORTED on platforms other than Linux and without the flock command; ABORTED; IO; PATH_CHANGED if the new file was removed or
 * replaced meanwhile. After an error the file does not exist, unless the message says otherwise. A file that another program put in its
 * place is kept
 */
export async function createFile(path: string, image: FileImage, options: LongCallOptions = {}): Promise<void> {
  const call = new LongCall(options);
  await create(path, writerOf(image, call), call);
  call.finish(image.length);
}

/**
 * Creates a file as {@link createFile} does, whose bytes come in any order, as they are found. `write` is called once more, from the
 * beginning, for a block device and if the file system has no hard links; on such a file system the file is incomplete until the call
 * returns.
 *
 * @throws {QdbError} as {@link createFile}; what `write` throws
 */
export async function createFileBy(
  path: string,
  write: WriteFile,
  options: Pick<LongCallOptions, "signal"> = {},
): Promise<void> {
  await create(path, write, new LongCall(options));
}

/**
 * Creates a file of plain bytes as {@link createFileBy} does. `put` appends bytes to it.
 *
 * @throws {QdbError} ALREADY_EXISTS, also for a device; else as {@link createFile}; what `write` throws
 */
export async function createOutput(
  path: string,
  write: (put: (bytes: Uint8Array) => void) => Promise<void>,
  options: Pick<LongCallOptions, "signal"> = {},
): Promise<void> {
  if (statusIfThere(path) !== undefined) throw alreadyExists(path);
  await createFileBy(
    path,
    (file) => {
      let at = 0;
      return write((bytes) => {
        file.write(bytes, at);
        at += bytes.length;
      });
    },
    options,
  );
}

async function create(path: string, write: WriteFile, call: LongCall): Promise<void> {
  requireWritableHost();
  const existing = statusIfThere(path);
  if (existing?.kind === "file") throw alreadyExists(path);
  call.checkSignal();
  if (existing?.kind === "block") await createOnDevice(path, write, call);
  else if (!(await createByLink(path, write, call))) await createInPlace(path, write);
}

/**
 * Creates the file under a temporary name and links it to its own. Returns false, and leaves no file behind, if the file system has no hard
 * links.
 */
async function createByLink(path: string, write: WriteFile, call: LongCall): Promise<boolean> {
  const { name, file, key } = createTemporary(path, (temporary) => Handle.create(temporary, path));
  const made = [name];
  return making(file, key, made, async () => {
    await write(file);
    file.sync();
    call.checkSignal();
    // A network file system can report a failure although the link was made, so the name is removed after an error too.
    made.push(path);
    const linked = link(name, path);
    remove(name);
    if (linked) confirmName(file);
    return linked;
  });
}

/** Creates the file under its own name, and writes the header last, in one write. */
async function createInPlace(path: string, write: WriteFile): Promise<void> {
  const file = Handle.create(path, path);
  const key = keyInPlace(file);
  await making(file, key, [path], async () => {
    if (!file.lock()) throw lockedError(path, key);
    const rest = new WithoutHeader(file);
    await write(rest);
    file.sync();
    file.write(rest.header, 0);
    file.sync();
    confirmName(file);
  });
}

/**
 * Returns the key of a file that was just created under its own name. If its status cannot be read, the file is closed and left, since the
 * name may lead to a file of another program by now.
 * @throws {QdbError} IO, which names the file that was left
 */
function keyInPlace(file: Handle): string {
  return closingOnErrorSync(file, () => {
    try {
      return file.status().key;
    } catch (error) {
      const remark = `then ${quote(file.path)}, an empty file, was not removed: another file may be in its place`;
      throw withRemark(error, "create", file.path, remark);
    }
  });
}

/** Runs `make`, then closes the file. After any error, also one of closing, the names in `made` are removed. */
async function making<T>(file: Handle, key: string, made: readonly string[], make: () => Promise<T>): Promise<T> {
  return closingOnError(file, async () => {
    try {
      const result = await make();
      file.close();
      return result;
    } catch (error) {
      // The names are removed before the file is closed: afterwards another file can get the same inode number, and would be taken for
      // this one.
      throw withoutNames(error, file.path, made, key);
    }
  });
}

/** Flushes the directory with the name of a new file, and checks that the name still leads to the file. @throws {QdbError} PATH_CHANGED, IO */
function confirmName(file: Handle): void {
  syncDirectory(file.path);
  if (leadsTo(file.path, file.status().key)) return;
  const message = `${quote(file.path)} was made, but the path no longer names it: it was removed, moved or replaced meanwhile`;
  throw new QdbError("PATH_CHANGED", message);
}

/** The errors of link(2) on a file system that has no hard links, or allows no further one for this file. */
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
