import { readFileSync, statSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, fromNode } from "./errors.ts";

/** What the system says about a regular file or a block device. */
export interface FileIdentity {
  /** A regular file or a block device. Files of any other kind are refused. */
  readonly kind: "file" | "block";
  /** Length in bytes. */
  readonly size: bigint;
  /** Time of the last modification in nanoseconds since the Unix epoch. For a block device, this is the time of its node in /dev. */
  readonly mtimeNs: bigint;
  /** Inode number in the file system. For a block device, this is the number of its node in /dev. */
  readonly file: bigint;
}

/** The identity of a file with a key to compare files by. */
export interface FileStatus extends FileIdentity {
  /** Two paths have the same key if and only if they lead to the same file or device. */
  readonly key: string;
}

/**
 * What is used of the result of stat(2), which is a `BigIntStats` of Node. The declarations of this package name no type of Node, so that
 * they compile without `@types/node`.
 */
export interface StatResult {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly rdev: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  isFile(): boolean;
  isDirectory(): boolean;
  isBlockDevice(): boolean;
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Returns major and minor number of a dev_t, which glibc packs into one integer. */
function deviceNumbers(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xffff_f000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}

/**
 * Returns the length of a block device in bytes. It is read from sysfs, because stat(2) gives 0 for a device, and Node has no ioctl(2). The
 * kernel counts in units of 512 bytes there, whatever the sector size of the device.
 * @throws {QdbError} NOT_SUPPORTED if there is no sysfs
 */
function blockDeviceSize(numbers: string, path: string): bigint {
  const entry = `/sys/dev/block/${numbers}/size`;
  try {
    return BigInt(readFileSync(entry, "latin1").trim()) * 512n;
  } catch (error) {
    throw new QdbError(
      "NOT_SUPPORTED",
      `the length of the block device ${quote(path)} cannot be found out: it is read from ${entry}, which only Linux with /sys mounted has`,
      {},
      { cause: error },
    );
  }
}

/** Returns the key of a file (see {@link FileStatus.key}). */
export function keyOf(stats: StatResult): string {
  return stats.isBlockDevice() ? `block ${deviceNumbers(u64(stats.rdev))}` : `file ${u64(stats.dev)} ${u64(stats.ino)}`;
}

/** Returns major and minor number of the device of the file system that a file is on, in the form of /proc/locks. */
export function fileSystemNumbers(stats: StatResult): string {
  return deviceNumbers(u64(stats.dev));
}

/**
 * Makes a status from the result of stat(2).
 * @throws {QdbError} USAGE if it is neither a regular file nor a block device; NOT_SUPPORTED if the length of a block device cannot be
 * found out; LIMIT from 2^53 bytes on
 */
export function statusOf(stats: StatResult, path: string): FileStatus {
  const { mtimeNs } = stats;
  const file = u64(stats.ino);
  if (stats.isBlockDevice()) {
    const size = addressable(blockDeviceSize(deviceNumbers(u64(stats.rdev)), path), path);
    return { kind: "block", size, mtimeNs, file, key: keyOf(stats) };
  }
  if (!stats.isFile()) {
    const kind = stats.isDirectory() ? "a directory" : "no regular file and no block device";
    throw new QdbError("USAGE", `${quote(path)} is ${kind}; name a file`);
  }
  return { kind: "file", size: addressable(stats.size, path), mtimeNs, file, key: keyOf(stats) };
}

function addressable(size: bigint, path: string): bigint {
  if (size <= BigInt(Number.MAX_SAFE_INTEGER)) return size;
  throw new QdbError("LIMIT", `${quote(path)} has ${size} bytes; 2^53 - 1 is the most that can be addressed`);
}

/** Returns the status of the file at a path, without opening it. @throws {QdbError} NOT_FOUND; IO; else as {@link statusOf} */
export function statusAt(path: string): FileStatus {
  try {
    return statusOf(statSync(path, { bigint: true }), path);
  } catch (error) {
    throw fromNode(error, "open", path);
  }
}

/** Whether a path leads to the file with this {@link FileStatus.key}. @throws {QdbError} IO if the path cannot be examined */
export function leadsTo(path: string, key: string): boolean {
  try {
    return keyOf(statSync(path, { bigint: true })) === key;
  } catch (error) {
    const known = fromNode(error, "look at", path);
    if (known.code === "NOT_FOUND") return false;
    throw known;
  }
}

/** Returns the status of the file at a path; undefined if the path names no file. @throws {QdbError} as {@link statusAt} */
export function statusIfThere(path: string): FileStatus | undefined {
  try {
    return statusOf(statSync(path, { bigint: true }), path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw fromNode(error, "open", path);
  }
}
