import { readFileSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";
import { reasonOf } from "./errors.ts";
import type { Handle } from "./handle.ts";
import { seesEveryLock } from "./lock-state.ts";
import { excludesWriter } from "./qemu-locks.ts";

/**
 * Looks into /proc/locks whether a program has a file open in a way that excludes a writer of QEMU. It shows such locks of all programs of
 * the machine, also of those outside of the container that this runs in. The handle must have its exclusive lock (flock).
 * @throws {QdbError} IO if that cannot be found out
 */
export function seesQemuLock(handle: Handle): boolean {
  const file = numbersOf(handle);
  // The kernel gives a long list in parts, and a line can be left out when one before it goes in between: hence twice.
  return [0, 1].some(() => {
    const lines = textOf("/proc/locks", handle.path)
      .split("\n")
      .filter((line) => line.includes(` ${file} `) && !line.includes(" -> "));
    if (lines.some(excludesWriter)) return true;
    // Our own lock must be there as well, except where the list leaves out what processes of other namespaces took.
    if (seesEveryLock() && !lines.some((line) => line.includes(" FLOCK "))) {
      throw cannotLook(handle.path, "/proc/locks does not show our own lock");
    }
    return false;
  });
}

/**
 * Returns the numbers of device and inode by which lists of locks name a file. They are taken from our own lock, because on some file systems
 * stat(2) gives other ones.
 */
function numbersOf(handle: Handle): string {
  const text = textOf(`/proc/self/fdinfo/${handle.descriptor}`, handle.path);
  const [, file] = /^lock:.* FLOCK .* WRITE .*?([0-9a-f]+:[0-9a-f]+:\d+) /m.exec(text) ?? [];
  if (file === undefined) throw cannotLook(handle.path, "/proc/self/fdinfo does not show our own lock");
  return file;
}

function textOf(source: string, path: string): string {
  try {
    return readFileSync(source, "latin1");
  } catch (error) {
    throw cannotLook(path, `${source}: ${reasonOf(error)}`, error);
  }
}

function cannotLook(path: string, reason: string, cause?: unknown): QdbError {
  const message = `cannot find out whether QEMU has ${quote(path)} open: ${reason}; install the package koffi, with which this takes QEMU's locks`;
  return new QdbError("IO", message, {}, { cause });
}
