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
 * Returns path and stamp of a disk image for records 1 and 2 (spec §3). The stamp is the length in bytes, for a regular file also
 * mtime in ns and inode. Call it before reading the disk, so that later changes differ from the stamp. Waits up to 2 s when the
 * disk was written a moment ago, so that a further write changes its mtime.
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
 * Whether a disk differs from its stamp: it is another one, or has changed. A device in place of a file, or the reverse, is a
 * difference too. Without a difference the disk may still have changed (spec §3).
 */
export function stampDiffers(stamp: DiskStamp, status: FileStatus): boolean {
  const now = stampOf(status);
  return stamp.length !== now.length || stamp.mtime !== now.mtime || stamp.file !== now.file;
}
