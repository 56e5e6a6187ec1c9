import type { DiskStamp } from "@qdb/format";
import { type Facts, factsAt } from "./facts.ts";

/**
 * The stamp of a disk image as it is now, for record 2 (spec §3): length in bytes, and for a regular file its mtime in
 * ns and its inode. Take it before the disk is read: what changes in between then shows as a difference.
 * @throws {QdbError} NOT_FOUND, USAGE for a directory and the like, NOT_SUPPORTED, LIMIT, IO
 */
export function diskStamp(path: string): DiskStamp {
  return stampOf(factsAt(path));
}

/** The stamp that a disk with these facts has. */
export function stampOf({ kind, size, mtimeNs, file }: Facts): DiskStamp {
  return kind === "file" ? { length: size, mtime: mtimeNs, file } : { length: size, mtime: 0n, file: 0n };
}

/**
 * Whether a disk is another than when it was stamped, or has changed since. A device where a file was, or the
 * reverse, is a difference too. That nothing differs proves nothing (spec §3).
 */
export function stampDiffers(stamp: DiskStamp, facts: Facts): boolean {
  const now = stampOf(facts);
  return stamp.length !== now.length || stamp.mtime !== now.mtime || stamp.file !== now.file;
}
