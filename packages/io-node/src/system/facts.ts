import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, fromNode } from "./errors.ts";

/** What can be told about a file or block device without reading it. */
export interface FileIdentity {
  /** A regular file or a block device; nothing else has bytes at offsets. */
  readonly kind: "file" | "block";
  /** Length in bytes. */
  readonly size: bigint;
  /** Last modification in ns since the epoch; of a block device that of its node. */
  readonly mtimeNs: bigint;
  /** File id (inode) in its file system; of a block device that of its node. */
  readonly file: bigint;
}

/** The identity, and which file of the machine it is. */
export interface Facts extends FileIdentity {
  /** The same for two paths exactly when they lead to the same file or device. */
  readonly key: string;
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Major and minor number as glibc packs them into a dev_t. */
function deviceNumbers(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xffff_f000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}

/** Length of a block device in bytes: stat says 0, and Node cannot ask the device. The kernel counts in 512 bytes, whatever the device does. */
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

/** Which file of the machine it is: see {@link Facts.key}. */
export function keyOf(stats: BigIntStats): string {
  return stats.isBlockDevice() ? `block ${deviceNumbers(u64(stats.rdev))}` : `file ${u64(stats.dev)} ${u64(stats.ino)}`;
}

/** The numbers of the device that a file is on, as the kernel's own lists have them. */
export function fileSystemNumbers(stats: BigIntStats): string {
  return deviceNumbers(u64(stats.dev));
}

/** @throws {QdbError} USAGE for what is neither a regular file nor a block device; NOT_SUPPORTED; LIMIT from 2^53 bytes on */
export function factsOf(stats: BigIntStats, path: string): Facts {
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

/** Facts about what a path leads to, without opening it. @throws {QdbError} NOT_FOUND, IO, and what {@link factsOf} throws */
export function factsAt(path: string): Facts {
  try {
    return factsOf(statSync(path, { bigint: true }), path);
  } catch (error) {
    throw fromNode(error, "open", path);
  }
}

/** Whether a path leads to the file of a {@link Facts.key}. @throws {QdbError} IO where that cannot be seen */
export function leadsTo(path: string, key: string): boolean {
  try {
    return keyOf(statSync(path, { bigint: true })) === key;
  } catch (error) {
    const known = fromNode(error, "look at", path);
    if (known.code === "NOT_FOUND") return false;
    throw known;
  }
}

/** The same, undefined where the path leads to nothing. */
export function factsIfThere(path: string): Facts | undefined {
  try {
    return factsOf(statSync(path, { bigint: true }), path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw fromNode(error, "open", path);
  }
}
