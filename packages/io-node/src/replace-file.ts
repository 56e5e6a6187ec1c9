import { realpathSync, renameSync, unlinkSync } from "node:fs";
import { type FileImage, QdbError, quote } from "@qdb/format";
import { syncDirectory, temporaryBeside } from "./directory.ts";
import { errnoOf, fromNode, remarkOf, withRemark } from "./errors.ts";
import { factsIfThere } from "./facts.ts";
import { Handle } from "./handle.ts";
import { lockedError } from "./lock-state.ts";

/**
 * Puts a new file in the place of an open, locked one (spec §5, Creation and rewrite): a temporary file beside it,
 * with its mode and owner, fsync, lock, rename(2), fsync of the directory. A symbolic link stays one: what it leads to is replaced.
 * @returns the new file, open and locked; the old one is still to be closed
 * @throws {QdbError} IO, NOT_SUPPORTED, SOURCE_CHANGED; the message says which file is there
 */
export function replaceFile(path: string, old: Handle, image: FileImage): Handle {
  const target = targetOf(path, old);
  const temporary = temporaryBeside(target);
  const remark = `${quote(path)} is as it was`;
  let file: Handle;
  try {
    file = Handle.createPrivate(temporary);
  } catch (error) {
    throw withRemark(error, "rewrite", path, remark);
  }
  try {
    fill(file, image, old);
    if (!file.lock()) throw lockedError(temporary, file.facts().key);
    targetOf(path, old);
    rename(temporary, target);
  } catch (error) {
    file.closeAfterError();
    throw withRemark(removed(error, temporary), "rewrite", path, remark);
  }
  try {
    syncDirectory(target);
  } catch (error) {
    file.closeAfterError();
    throw withRemark(
      error,
      "rewrite",
      path,
      `whether ${quote(path)} is the old file or the new one is unknown; both are whole`,
    );
  }
  return file;
}

/** Where the path leads to, all links resolved: still to the locked file, by that name alone. */
function targetOf(path: string, old: Handle): string {
  let target: string;
  try {
    target = realpathSync(path);
  } catch (error) {
    throw fromNode(error, "rewrite", path);
  }
  if (factsIfThere(target)?.key !== old.facts().key) {
    throw new QdbError("SOURCE_CHANGED", `${quote(path)} leads to another file than when it was opened; open it anew`);
  }
  const { nlink } = old.access();
  if (nlink > 1) {
    const message = `${quote(path)} has ${nlink} names (hard links), and under the others the old bitmaps would stay; remove those, or copy it into a new file`;
    throw new QdbError("NOT_SUPPORTED", message);
  }
  return target;
}

function fill(file: Handle, image: FileImage, old: Handle): void {
  file.truncate(image.length);
  for (const { offset, bytes } of image.chunks()) file.write(bytes, offset);
  file.takeAccess(old.access());
  file.sync();
}

function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw fromNode(error, "rename the new file over", to);
  }
}

/** The error, after the temporary file is gone again, or named in it. */
function removed(error: unknown, temporary: string): unknown {
  try {
    unlinkSync(temporary);
  } catch (failure) {
    if (errnoOf(failure) !== "ENOENT")
      return withRemark(error, "rewrite", temporary, remarkOf("removed", temporary, failure));
  }
  return error;
}
