import type { DiskStamp } from "@qdb/format";
import { type FileStatus, statusAt } from "../system/file-status.ts";
import { diskPath } from "./disk-path.ts";
import { settledStatus } from "./settled-status.ts";

/** A disk as it is now, in the words of a new bitmap: `edit.add({ name: "daily", ...lookAtDisk("vm.raw") })`. */
export interface StampedDisk {
  /** Length in bytes. */
  readonly size: bigint;
  /** The absolute path, which was checked to lead to the disk. */
  readonly disk: string;
  readonly diskStamp: DiskStamp;
}

/**
 * Returns size, path and stamp of a disk image; the last two are for records 1 and 2 (spec §3). The stamp is the length in bytes, for a regular file also
 * mtime in ns and inode. Call it before reading the disk, so that the disk differs from the stamp after a later change. Waits up to 2 s
 * if the disk was written a moment ago, so that a further write changes its mtime.
 * @throws {QdbError} NOT_FOUND if there is no such file; USAGE if it is neither a regular file nor a block device; NOT_SUPPORTED if the
 * absolute path is not UTF-8, or if the length of a device is unknown; LIMIT if the disk has 2^53 bytes or more; IO if it cannot be examined
 */
export function lookAtDisk(path: string): StampedDisk {
  const { status } = settledStatus(() => statusAt(path));
  return { size: status.size, disk: diskPath(path, status.key), diskStamp: stampOf(status) };
}

/** Returns the stamp of a disk with this status. */
export function stampOf({ kind, size, mtimeNs, file }: FileStatus): DiskStamp {
  return kind === "file" ? { length: size, mtime: mtimeNs, file } : { length: size, mtime: 0n, file: 0n };
}

/**
 * Whether a disk differs from a stamp: then it is another disk, or has changed. A device in the place of a file, or a file in the place of
 * a device, is a difference too. A disk that does not differ may have changed nevertheless (QDB-REC-027).
 */
export function stampDiffers(stamp: DiskStamp, status: FileStatus): boolean {
  const now = stampOf(status);
  return stamp.length !== now.length || stamp.mtime !== now.mtime || stamp.file !== now.file;
}
