import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename } from "node:path";
import { QdbError, quote } from "@qdb/format";
import { fromNode } from "./errors.ts";
import { fileSystemNumbers, keyOf, type StatResult } from "./file-status.ts";
import { excludesWriter } from "./qemu-locks.ts";

/** A process that holds the lock of a file. */
export interface LockHolder {
  readonly pid: number;
  /** File name of the program according to its command line. Not escaped. */
  readonly command: string;
}

/** Whether a running process has a file open for writing. */
export interface LockState {
  readonly held: boolean;
  /** The writer. Absent if it is unknown, for example because the process belongs to another user and this one is not root. */
  readonly holder?: LockHolder;
}

/** The initial pid namespace. In it, /proc/locks shows every lock. */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Returns whether a running writer has a file or block device open. The lock is not taken for this, because a writer that starts at that
 * moment would be refused. Returns undefined if the system does not say: on systems other than Linux, and in a container in which no writer
 * is visible, because one may run outside of the container.
 * @throws {QdbError} NOT_FOUND, IO
 */
export function lockState(path: string): LockState | undefined {
  let stats: StatResult;
  try {
    stats = statSync(path, { bigint: true });
  } catch (error) {
    throw fromNode(error, "look at", path);
  }
  if (process.platform !== "linux") return undefined;
  const state = lockInProc(stats);
  if (isFree(state)) return { held: false };
  const holder = findWriter(keyOf(stats));
  if (holder !== undefined) return { held: true, holder };
  return state === "yes" ? { held: true } : undefined;
}

/**
 * Whether a running writer has an open file locked; undefined as for {@link lockState}. If /proc/locks gives the answer, processes are not
 * searched.
 */
export function hasWriter(stats: StatResult): boolean | undefined {
  if (process.platform !== "linux") return undefined;
  const state = lockInProc(stats);
  if (state === "yes") return true;
  if (isFree(state)) return false;
  return findWriter(keyOf(stats)) === undefined ? undefined : true;
}

/** Whether a result of {@link lockInProc} proves that no process holds the lock. */
function isFree(state: "yes" | "no" | "maybe"): boolean {
  return state === "no" && seesEveryLock();
}

/**
 * Returns whether /proc/locks shows the lock of a writer on a file. The pid in it is that of the `flock` command, which has ended, and a
 * pid namespace that does not know this pid does not show the lock at all. "maybe" means that only the inode number matches: on btrfs,
 * /proc/locks has other device numbers than stat(2).
 */
function lockInProc(stats: StatResult): "yes" | "no" | "maybe" {
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

/** Whether /proc/locks shows every lock: also one whose process has ended, as the `flock` command that took ours. */
export function seesEveryLock(): boolean {
  try {
    return readlinkSync("/proc/self/ns/pid") === FIRST_PID_NAMESPACE;
  } catch {
    return false;
  }
}

/** A kind of lock: whether a line of a file of /proc/PID/fdinfo is about such a lock. */
type LockKind = (line: string) => boolean;

const isWriterLock: LockKind = (line) => / FLOCK .* WRITE /.test(line);
const isFlock: LockKind = (line) => / FLOCK /.test(line);

/** Returns the writer that holds the lock of the file with this {@link FileStatus.key}; undefined if none is visible. */
export function findWriter(key: string): LockHolder | undefined {
  return findLockHolder(key, isWriterLock);
}

function findLockHolder(key: string, isLock: LockKind): LockHolder | undefined {
  for (const pid of namesIn("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of namesIn(`/proc/${pid}/fdinfo`)) {
      // fdinfo lists the locks of this open file description only. The file is looked up only for a descriptor that has a lock.
      const lines = textOf(`/proc/${pid}/fdinfo/${fd}`).split("\n");
      if (lines.some((line) => line.startsWith("lock:") && isLock(line)) && isFile(`/proc/${pid}/fd/${fd}`, key)) {
        return { pid: Number(pid), command: commandOf(pid) };
      }
    }
  }
  return undefined;
}

/** Returns the error for a file that is locked, by a writer or by a program that reads under a shared lock. */
export function lockedError(path: string, key: string): QdbError {
  return new QdbError("LOCKED", `${quote(path)} is locked by ${nameHolder(key, isFlock)}; try again when that is done`);
}

/** Returns the error for an image that a program has open under QEMU's locks. Such locks of our own must be released before. */
export function lockedByQemu(path: string, key: string, remark?: string): QdbError {
  const message = `${quote(path)} is locked, as QEMU does it, by ${nameHolder(key, excludesWriter)}; try again when that is done`;
  return new QdbError("LOCKED", remark === undefined ? message : `${message}; ${remark}`);
}

function nameHolder(key: string, isLock: LockKind): string {
  const holder = findLockHolder(key, isLock);
  if (holder === undefined) return "another process";
  return holder.pid === process.pid ? "this process itself" : `process ${holder.pid} (${quote(holder.command)})`;
}

function commandOf(pid: string): string {
  const [first = ""] = textOf(`/proc/${pid}/cmdline`).split("\0");
  return first === "" ? textOf(`/proc/${pid}/comm`).trim() : basename(first);
}

// A process can end meanwhile, and that of another user may not be readable. Both are treated as if there was nothing to read.

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
