import { type BigIntStats, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { fromNode } from "./errors.ts";
import { fileSystemNumbers, keyOf } from "./facts.ts";

/** A process that has a file open for writing. */
export interface LockHolder {
  readonly pid: number;
  /** The first word of its command line, without the directory; not escaped. */
  readonly command: string;
}

/** Whether a live writer has a file. */
export interface LockState {
  readonly held: boolean;
  /** The writer, where the system tells: another user's processes are closed to all but root. */
  readonly holder?: LockHolder;
}

/** The kernel's first pid namespace, in whose /proc/locks every lock is to be seen. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Whether a live writer has a file or block device open, found out without taking the lock, so that no writer is refused
 * because someone looked. Undefined where the system does not tell: elsewhere than on Linux, or in a container that sees no
 * writer, where one may be outside.
 * @throws {QdbError} NOT_FOUND, IO
 */
export function lockState(path: string): LockState | undefined {
  let stats: BigIntStats;
  try {
    stats = statSync(path, { bigint: true });
  } catch (error) {
    throw fromNode(error, "look at", path);
  }
  if (process.platform !== "linux") return undefined;
  const seen = seenInLocks(stats);
  if (isFree(seen)) return { held: false };
  const holder = findLockHolder(keyOf(stats), "WRITE");
  if (holder !== undefined) return { held: true, holder };
  return seen === "yes" ? { held: true } : undefined;
}

/** The same of an open file, without the holder's name where that takes a look at every process. */
export function hasWriter(stats: BigIntStats): boolean | undefined {
  if (process.platform !== "linux") return undefined;
  const seen = seenInLocks(stats);
  if (seen === "yes") return true;
  if (isFree(seen)) return false;
  return findLockHolder(keyOf(stats), "WRITE") === undefined ? undefined : true;
}

/** Whether what /proc/locks says means that nobody has the lock. */
function isFree(seen: "yes" | "no" | "maybe"): boolean {
  return seen === "no" && seesEveryLock();
}

/**
 * What /proc/locks says. The pid in it is that of a helper that has ended; where a pid namespace hides that one, it leaves
 * the line out. `maybe`: some file systems (btrfs) have another device number there than stat has.
 */
function seenInLocks(stats: BigIntStats): "yes" | "no" | "maybe" {
  const device = fileSystemNumbers(stats);
  let result: "no" | "maybe" = "no";
  for (const line of textOf("/proc/locks").split("\n")) {
    const [, major = "", minor = "", inode] = /: FLOCK .* WRITE .*?([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line) ?? [];
    if (inode !== String(BigInt.asUintN(64, stats.ino))) continue;
    if (`${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}` === device) return "yes";
    result = "maybe";
  }
  return result;
}

function seesEveryLock(): boolean {
  try {
    return readlinkSync("/proc/self/ns/pid") === FIRST_PID_NAMESPACE;
  } catch {
    return false;
  }
}

/** The process that has a file's lock of one of the kinds, the file named by its {@link keyOf}; undefined where none can be seen. */
export function findLockHolder(key: string, ...kinds: readonly ("READ" | "WRITE")[]): LockHolder | undefined {
  const lock = new RegExp(`^lock:.* FLOCK .* (?:${kinds.join("|")}) `, "m");
  for (const pid of namesIn("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of namesIn(`/proc/${pid}/fdinfo`)) {
      // Lists the locks of this opening alone. Only who has one is asked what file it is.
      if (lock.test(textOf(`/proc/${pid}/fdinfo/${fd}`)) && isFile(`/proc/${pid}/fd/${fd}`, key)) {
        return { pid: Number(pid), command: commandOf(pid) };
      }
    }
  }
  return undefined;
}

/** The refusal of a second writer; who reads under a lock of another program's making keeps it out too. */
export function lockedError(path: string, key: string): QdbError {
  const holder = findLockHolder(key, "WRITE", "READ");
  const who =
    holder === undefined
      ? "another process"
      : holder.pid === process.pid
        ? "this process itself"
        : `process ${holder.pid} (${quote(holder.command)})`;
  return new QdbError("LOCKED", `${quote(path)} is locked by ${who}; try again when that is done`);
}

function commandOf(pid: string): string {
  const [first = ""] = textOf(`/proc/${pid}/cmdline`).split("\0");
  return first === "" ? textOf(`/proc/${pid}/comm`).trim() : basename(first);
}

// Processes end while they are looked at, and others' are closed to us: those tell nothing.

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isFile(path: string, key: string): boolean {
  try {
    return keyOf(statSync(path, { bigint: true })) === key;
  } catch {
    return false;
  }
}
