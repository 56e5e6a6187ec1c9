import { randomBytes } from "node:crypto";
import { lstatSync, opendirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, remarkOf, withRemark } from "../system/errors.ts";
import { type FileStatus, keyOf } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";

/** The names of temporary files, by which those of killed processes are recognized. */
const NAME = /^\.qdb-[0-9a-f]{16}\.tmp$/;
const newName = (): string => `.qdb-${randomBytes(8).toString("hex")}.tmp`;

/** Most attempts when another process removes the new file before it is locked. */
const MAX_ATTEMPTS = 8;

/** Most temporary files that one clean-up checks: each check starts a program. */
const MAX_CANDIDATES = 64;

/** A temporary file, open and locked. */
export interface Temporary {
  /** Its path. */
  readonly name: string;
  readonly file: Handle;
  /** See {@link FileStatus.key}. */
  readonly key: string;
}

/**
 * Creates a temporary file beside another one and locks it before anything is written. First removes temporary files there whose
 * processes have ended (spec §5, Temporary files). `open` creates the file with a name.
 * @throws {QdbError} NOT_FOUND without the directory, NOT_SUPPORTED without locks, LOCKED, IO
 */
export function createTemporary(target: string, open: (name: string) => Handle): Temporary {
  const directory = dirname(target);
  removeAbandoned(directory);
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const name = join(directory, newName());
    const file = open(name);
    try {
      const key = keyOfNew(file, name);
      try {
        if (file.lock() && isNameOf(name, key)) return { name, file, key };
      } catch (error) {
        throw withoutNames(error, target, [name], key);
      }
    } catch (error) {
      file.closeAfterError();
      throw error;
    }
    // Another process locked the file first, for a clean-up, and removes it.
    file.close();
  }
  const message = `other processes took the temporary files beside ${quote(target)} for abandoned ones ${MAX_ATTEMPTS} times; try again`;
  throw new QdbError("LOCKED", message);
}

/** The key of a file that was just created under a unique name. Removes the file when its status cannot be read. */
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
 * Removes the temporary names that a killed process left for a file. The caller must hold the lock of the file with this `key`: the
 * process that creates a file keeps it locked as long as it needs the temporary name.
 */
export function removeTemporaryNames(target: string, key: string): void {
  for (const name of candidatesIn(dirname(target))) {
    try {
      if (isNameOf(name, key)) unlinkSync(name);
    } catch {
      // The caller checks the number of names again.
    }
  }
}

/** Removes the temporary files of a directory that no process has locked. Ignores errors: the next clean-up tries again. */
function removeAbandoned(directory: string): void {
  for (const name of candidatesIn(directory)) {
    let file: Handle | undefined;
    try {
      file = Handle.openAbandoned(name);
      const { key } = file.status();
      if (file.lock() && isNameOf(name, key)) unlinkSync(name);
    } catch {
      // The file is gone, or belongs to another user. This must not stop the creation.
    }
    file?.closeAfterError();
  }
}

function candidatesIn(directory: string): string[] {
  const found: string[] = [];
  try {
    const entries = opendirSync(directory);
    try {
      for (let entry = entries.readSync(); entry !== null && found.length < MAX_CANDIDATES; entry = entries.readSync())
        if (entry.isFile() && NAME.test(entry.name)) found.push(join(directory, entry.name));
    } finally {
      entries.closeSync();
    }
  } catch {
    // Creating the file reports the error of the directory.
  }
  return found;
}

/** Whether a name still leads to the file with a key. Symbolic links are not followed. */
function isNameOf(name: string, key: string): boolean {
  const stats = lstatSync(name, { bigint: true, throwIfNoEntry: false });
  return stats !== undefined && keyOf(stats) === key;
}

/** Removes the names given to a file, and returns the error to report; it mentions names that could not be removed. Keeps a name that leads to another file now. */
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
