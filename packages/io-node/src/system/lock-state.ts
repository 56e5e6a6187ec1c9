import { type BigIntStats, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { fromNode } from "./errors.ts";
import { fileSystemNumbers, keyOf } from "./file-status.ts";

/** A process that has a file open for writing. */
export interface LockHolder {
  readonly pid: number;
  /** File name of the program on its command line; not escaped. */
  readonly command: string;
}

/** Whether a running process has a file open for writing. */
export interface LockState {
  readonly held: boolean;
  /** The writer. Unknown where the process belongs to another user and this one is not root. */
  readonly holder?: LockHolder;
}

/** The initial pid namespace, whose /proc/locks shows every lock. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Whether a running writer has a file or block device open. Does not take the lock, so that no writer is refused because of this
 * check. Undefined where the system does not tell: on other systems than Linux, and in a container that sees no writer, since a
 * writer may run outside of it.
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

/** Like {@link lockState} for an open file. Does not search for the process where /proc/locks gives the answer. */
export function hasWriter(stats: BigIntStats): boolean | undefined {
  if (process.platform !== "linux") return undefined;
  const seen = seenInLocks(stats);
  if (seen === "yes") return true;
  if (isFree(seen)) return false;
  return findLockHolder(keyOf(stats), "WRITE") === undefined ? undefined : true;
}

/** Whether the result of {@link seenInLocks} proves that nobody holds the lock. */
function isFree(seen: "yes" | "no" | "maybe"): boolean {
  return seen === "no" && seesEveryLock();
}

/**
 * Whether /proc/locks shows a writer's lock on a file. Its pid is that of the `flock` command, which has ended; a pid namespace that
 * does not know this pid hides the line. `maybe`: only the inode matches, since btrfs shows other device numbers there than in stat.
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

/** The process that holds a lock of one of the kinds on the file with a {@link FileStatus.key}; undefined when none can be seen. */
export function findLockHolder(key: string, ...kinds: readonly ("READ" | "WRITE")[]): LockHolder | undefined {
  const lock = new RegExp(`^lock:.* FLOCK .* (?:${kinds.join("|")}) `, "m");
  for (const pid of namesIn("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of namesIn(`/proc/${pid}/fdinfo`)) {
      // fdinfo lists the locks of this open file only. Look up the file only for those that have one.
      if (lock.test(textOf(`/proc/${pid}/fdinfo/${fd}`)) && isFile(`/proc/${pid}/fd/${fd}`, key)) {
        return { pid: Number(pid), command: commandOf(pid) };
      }
    }
  }
  return undefined;
}

/** The error for a writer that finds the file locked, by another writer or by a program that reads under a shared lock. */
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

// Processes can end meanwhile, and those of other users cannot be read: both count as empty.

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
