import { realpathSync, renameSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";
import type { FileImage } from "@qdb/format/container";
import { closingOnErrorSync } from "@qdb/format/internal";
import { fromNode, withRemark } from "../system/errors.ts";
import { leadsTo, statusIfThere } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { syncDirectory } from "../system/sync-directory.ts";
import { createTemporary, removeTemporaryNames, type Temporary, withoutNames } from "./temporary.ts";

/**
 * Replaces an open, locked file by a new one (spec §5, Creation and rewrite): creates a temporary file in the same directory, locks it,
 * writes it, and gives it the same mode and owner; then come fsync, rename(2) and fsync of the directory. A symbolic link is kept; the file
 * that it leads to is replaced.
 * @returns the new file, open and locked; the caller must close the old one
 * @throws {QdbError} SOURCE_CHANGED if the path leads to another file; NOT_SUPPORTED if the file has several names or its path is not
 * UTF-8; IO; else as {@link createTemporary}. The message says whether the old file or the new one is there
 */
export function replaceFile(path: string, old: Handle, image: FileImage): Handle {
  const target = targetOf(path, old);
  const remark = `${quote(path)} is as it was`;
  const unknown = `whether ${quote(path)} is the old file or the new one is unknown; both are whole`;
  let temporary: Temporary;
  try {
    temporary = createTemporary(target, (name) => Handle.createPrivate(name));
  } catch (error) {
    throw withRemark(error, "rewrite", path, remark);
  }
  const { name, file, key } = temporary;
  let isRenaming = false;
  return closingOnErrorSync(file, () => {
    try {
      fill(file, image, old);
      targetOf(path, old);
      isRenaming = true;
      rename(name, target);
      syncDirectory(target);
      return file;
    } catch (error) {
      const isOld = !isRenaming || leadsToOld(target, old);
      const reported = withoutNames(error, path, [name], key);
      throw withRemark(reported, "rewrite", path, isOld ? remark : unknown);
    }
  });
}

/** Whether a path still leads to the old file after rename(2) failed: a rename can have taken effect although it failed. */
function leadsToOld(target: string, old: Handle): boolean {
  try {
    return leadsTo(target, old.status().key);
  } catch {
    return false;
  }
}

/**
 * Resolves all symbolic links of a path.
 * @throws {QdbError} SOURCE_CHANGED if the result does not lead to the locked file; NOT_SUPPORTED if the file has other names too, or if
 * the result is not UTF-8
 */
function targetOf(path: string, old: Handle): string {
  const target = realPathOf(path);
  if (statusIfThere(target)?.key !== old.status().key) {
    throw new QdbError("SOURCE_CHANGED", `${quote(path)} leads to another file than when it was opened; open it anew`);
  }
  if (old.access().nlink > 1) removeTemporaryNames(target, old.status().key);
  const { nlink } = old.access();
  if (nlink > 1) {
    const message = `${quote(path)} has ${nlink} names (hard links), and under the others the old bitmaps would stay; remove those, or copy it into a new file`;
    throw new QdbError("NOT_SUPPORTED", message);
  }
  return target;
}

function realPathOf(path: string): string {
  let bytes: Buffer;
  try {
    bytes = realpathSync.native(path, "buffer");
  } catch (error) {
    throw fromNode(error, "rewrite", path);
  }
  const text = bytes.toString("utf8");
  if (Buffer.from(text).equals(bytes)) return text;
  // Node replaces such bytes by U+FFFD, and the path would lead to another file.
  const message = `${quote(path)} cannot be rewritten: the path that it leads to is not UTF-8; copy it to one that is`;
  throw new QdbError("NOT_SUPPORTED", message);
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
