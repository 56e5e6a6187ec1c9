import { randomBytes } from "node:crypto";
import { lstatSync, opendirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, remarkOf, withRemark } from "../system/errors.ts";
import { type Facts, keyOf } from "../system/facts.ts";
import { Handle } from "../system/handle.ts";

/** The names of temporary files: what a killed process leaves behind is known by them. */
const NAME = /^\.qdb-[0-9a-f]{16}\.tmp$/;
const newName = (): string => `.qdb-${randomBytes(8).toString("hex")}.tmp`;

/** Times that another name is tried when a process that clears up was quicker than the lock. */
const MAX_ATTEMPTS = 8;

/** Files of such names that are looked at in one clearing: each costs the start of a program. */
const MAX_CANDIDATES = 64;

/** A temporary file, open and locked. */
export interface Temporary {
  /** The path that it has. */
  readonly name: string;
  readonly file: Handle;
  /** See {@link Facts.key}. */
  readonly key: string;
}

/**
 * Makes a temporary file beside another one, locked before anything is written to it, and first removes those there whose
 * makers are gone (spec §5, Temporary files). `open` makes the file of a name.
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
    // A process that clears up came between the creation and the lock. It removes the file.
    file.close();
  }
  const message = `other processes took the temporary files beside ${quote(target)} for abandoned ones ${MAX_ATTEMPTS} times; try again`;
  throw new QdbError("LOCKED", message);
}

/** The key of a file that was just made under a name that nobody else has; where it cannot be seen, the file goes again. */
function keyOfNew(file: Handle, name: string): string {
  try {
    return file.facts().key;
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
 * Removes what a killed process left of making a file: the file's temporary name. Only for the file of `key` whose lock the
 * caller has, since its maker keeps it locked as long as it needs that name.
 */
export function removeTemporaryNames(target: string, key: string): void {
  for (const name of candidatesIn(dirname(target))) {
    try {
      if (isNameOf(name, key)) unlinkSync(name);
    } catch {
      // Who needs the file to have one name only looks again.
    }
  }
}

/** Removes the temporary files of a directory that no process has locked. What cannot be looked at or removed stays: the next one tries again. */
function removeAbandoned(directory: string): void {
  for (const name of candidatesIn(directory)) {
    let file: Handle | undefined;
    try {
      file = Handle.openAbandoned(name);
      const { key } = file.facts();
      if (file.lock() && isNameOf(name, key)) unlinkSync(name);
    } catch {
      // It is gone by now, or another user's: no reason to fail what is to be made.
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
    // Making the file tells what is wrong with the directory.
  }
  return found;
}

/** Whether a name is still that of the file of a key, no link followed. */
function isNameOf(name: string, key: string): boolean {
  const stats = lstatSync(name, { bigint: true, throwIfNoEntry: false });
  return stats !== undefined && keyOf(stats) === key;
}

/** The error, after the names given to a file are removed; those that cannot be are in its message. A name that another file has by now stays. */
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
