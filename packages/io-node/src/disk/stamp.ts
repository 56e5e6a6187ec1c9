import type { DiskStamp } from "@qdb/format";
import { type FileStatus, statusAt } from "../system/file-status.ts";
import { diskPath } from "./disk-path.ts";
import { settledStatus } from "./settled-status.ts";

/** A disk that bitmaps are about to be bound to, in its current state. */
export interface StampedDisk {
  /** Absolute, and verified to lead to the disk. */
  readonly path: string;
  readonly stamp: DiskStamp;
}

/**
 * Looks at a disk image for records 1 and 2 (spec §3): its path, and its length in bytes, of a regular file its mtime in ns and
 * inode too. To be called before the disk is read: what changes in between then shows as a difference. A disk that was written
 * to a moment ago is waited for, up to 2 s, so that a write right after shows too.
 * @throws {QdbError} NOT_FOUND; USAGE for a directory and the like; NOT_SUPPORTED when the absolute path is not UTF-8, or the
 * length of a device cannot be found out; LIMIT; IO
 */
export function lookAtDisk(path: string): StampedDisk {
  const { status } = settledStatus(() => statusAt(path));
  return { path: diskPath(path, status.key), stamp: stampOf(status) };
}

/** The stamp of a disk with this status. */
export function stampOf({ kind, size, mtimeNs, file }: FileStatus): DiskStamp {
  return kind === "file" ? { length: size, mtime: mtimeNs, file } : { length: size, mtime: 0n, file: 0n };
}

/**
 * Whether a disk is another than when it was stamped, or has changed since. A device where a file was, or the
 * reverse, is a difference too. That nothing differs proves nothing (spec §3).
 */
export function stampDiffers(stamp: DiskStamp, status: FileStatus): boolean {
  const now = stampOf(status);
  return stamp.length !== now.length || stamp.mtime !== now.mtime || stamp.file !== now.file;
}
