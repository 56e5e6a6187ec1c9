import { randomBytes } from "node:crypto";
import { lstatSync, opendirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { closingOnErrorSync, closingSync } from "@qdb/format/internal";
import { errnoOf, remarkOf, withRemark } from "../system/errors.ts";
import { type FileStatus, keyOf } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";

/** Matches the names of temporary files. Files that killed processes left behind are recognized by it. */
const NAME = /^\.qdb-[0-9a-f]{16}\.tmp$/;
/** Returns a new name of a temporary file. */
export const newTemporaryName = (): string => `.qdb-${randomBytes(8).toString("hex")}.tmp`;

/** Maximum number of attempts to create a temporary file. Another process can remove it before it is locked. */
const MAX_ATTEMPTS = 8;

/** Maximum number of temporary files that one clean-up examines, because a program is started for each. */
const MAX_CANDIDATES = 64;

/** A temporary file, open and locked. */
export interface Temporary {
  /** Path of the file. */
  readonly name: string;
  readonly file: Handle;
  /** The {@link FileStatus.key} of the file. */
  readonly key: string;
}

/**
 * Creates a temporary file in the directory of another file, and locks it before anything is written to it. First, temporary files in that
 * directory are removed whose processes have ended (spec §5, Temporary files). `open` must create a file with the given name.
 * @throws {QdbError} NOT_FOUND if the directory does not exist; NOT_SUPPORTED without the flock command; LOCKED if other processes removed
 * the file at each attempt; IO
 */
export function createTemporary(target: string, open: (name: string) => Handle): Temporary {
  const directory = dirname(target);
  removeAbandoned(directory);
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const name = join(directory, newTemporaryName());
    const file = open(name);
    const temporary = closingOnErrorSync(file, () => {
      const key = keyOfNew(file, name);
      try {
        return file.lock() && isNameOf(name, key) ? { name, file, key } : undefined;
      } catch (error) {
        throw withoutNames(error, target, [name], key);
      }
    });
    if (temporary !== undefined) return temporary;
    // Another process, which cleans up, has locked the file first and removes it.
    file.close();
  }
  const message = `other processes took the temporary files beside ${quote(target)} for abandoned ones ${MAX_ATTEMPTS} times; try again`;
  throw new QdbError("LOCKED", message);
}

/**
 * Returns the key of a file that was just created under a unique name. If its status cannot be read, the file is removed.
 * @throws {QdbError} the error of reading the status
 */
function keyOfNew(file: Handle, name: string): string {
  try {
    return file.status().key;
  } catch (error) {
    try {
      unlinkSync(name);
    } catch (failure) {
      throw withRemark(error, "create", name, remarkOf("removed", name, failure));
    }
    throw error;
  }
}

/**
 * Removes the temporary names of a file from the directory of `target`: a killed process left them. The caller must hold the lock of the
 * file, which has the key `key`. The process that created the file has ended then, because it would hold the lock as long as it needed the
 * temporary name.
 */
export function removeTemporaryNames(target: string, key: string): void {
  for (const name of candidatesIn(dirname(target))) {
    try {
      if (isNameOf(name, key)) unlinkSync(name);
    } catch {
      // The caller counts the names of the file again.
    }
  }
}

/** Removes the temporary files of a directory that no process has locked. Errors are ignored: the next clean-up tries again. */
function removeAbandoned(directory: string): void {
  for (const name of candidatesIn(directory)) {
    try {
      const file = Handle.openAbandoned(name);
      closingSync(file, () => {
        const { key } = file.status();
        if (file.lock() && isNameOf(name, key)) unlinkSync(name);
      });
    } catch {
      // The file is gone, or belongs to another user. That is no reason to fail.
    }
  }
}

function candidatesIn(directory: string): string[] {
  const found: string[] = [];
  try {
    const entries = opendirSync(directory);
    closingSync({ close: () => entries.closeSync() }, () => {
      for (let entry = entries.readSync(); entry !== null && found.length < MAX_CANDIDATES; entry = entries.readSync())
        if (entry.isFile() && NAME.test(entry.name)) found.push(join(directory, entry.name));
    });
  } catch {
    // An error of the directory is reported when the new file is created in it.
  }
  return found;
}

/** Whether a name still leads to the file with a key. Symbolic links are not followed. */
function isNameOf(name: string, key: string): boolean {
  const stats = lstatSync(name, { bigint: true, throwIfNoEntry: false });
  return stats !== undefined && keyOf(stats) === key;
}

/**
 * Removes names that were given to a file, unless they lead to another file now. Returns the error to report: `error`, with a remark about
 * each name that could not be removed.
 */
export function withoutNames(error: unknown, path: string, names: readonly string[], key: string): unknown {
  let result = error;
  for (const name of names) {
    try {
      if (isNameOf(name, key)) unlinkSync(name);
    } catch (failure) {
      if (errnoOf(failure) !== "ENOENT")
        result = withRemark(result, "create", path, remarkOf("removed", name, failure));
    }
  }
  return result;
}
