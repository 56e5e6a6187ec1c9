import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { type DiskStamp, QdbError, quote } from "@qdb/format";
import { type BitsOptions, decodeRecord, RECORD, type Tlv } from "@qdb/format/container";
import { errnoOf, ioError } from "../system/errors.ts";
import { type FileStatus, statusOf } from "../system/file-status.ts";
import { stampDiffers } from "./stamp.ts";

/** What a bitmap records about its disk. */
export interface DiskOfBitmap {
  /** Name of the bitmap, for messages. */
  readonly label: string;
  /** Its extra-data records; undefined if they cannot be parsed. */
  readonly records: readonly Tlv[] | undefined;
}

/** Options that say with which disk a bitmap is compared before its bits are given out. */
export interface DiskOptions {
  /**
   * Path of the disk of all bitmaps that are read, or `"ignore"` to give out bits without a comparison; a file of that name is `./ignore`.
   * By default each bitmap is compared with the disk that its record *disk* names. If that record is not an absolute path, but the name of
   * a QEMU node or a URI, for example, no disk is looked up, and the bits are given out.
   *
   * A bitmap of a period that has ended, such as last Monday's changes, has the stamp of the disk at the end of that period. Today's disk
   * differs from it by design: open the file with `"ignore"` to merge such bitmaps. This is right only if bitmaps cover all periods since.
   * @example
   * // Merges the bitmaps of three days, which are kept in one file, into the bitmap of a new file.
   * await using week = await openQdb("week.qdb", { disk: "ignore" });
   * const bits = Bitmap.clean(week.bitmap("monday"));
   * for (const day of ["monday", "tuesday", "wednesday"]) bits.merge(await readBitmap(week.bitmap(day)));
   * await createQdb("changes.qdb", { bitmaps: [{ name: "changes", bits, enabled: false }] });
   */
  readonly disk?: string | "ignore" | undefined;
}

/**
 * The state of the disk of a bitmap, compared with its stamp (spec §3, record 2).
 * - `unstamped`: there is no stamp to compare with.
 * - `missing`: no path was given and no absolute path is recorded, or no file exists at the path. Whether the disk has changed is unknown,
 *   and the bits may be used.
 * - `unreadable`: the disk, or a directory on the way to it, cannot be accessed; `error` (IO) says why.
 * - `same length`: the disk is a device, whose stamp holds the length only. Changes of its content are not detected.
 * - `same`: no difference was found, which proves nothing.
 * - `changed`: the disk is another one or was changed, or the stamp is broken, which counts as a difference.
 */
export type DiskState =
  | { readonly kind: "unstamped" | "missing" | "same length" | "same" | "changed" }
  | { readonly kind: "unreadable"; readonly error: QdbError };

/**
 * Compares the stamp of a bitmap with the disk at the path `disk`, or else at the absolute path that the bitmap records. Reports errors in
 * the result instead of throwing them.
 */
export function diskState({ records }: Pick<DiskOfBitmap, "records">, disk?: string): DiskState {
  const stamp = recordedStamp(records);
  if (stamp === undefined) return { kind: "unstamped" };
  if (stamp === "broken") return { kind: "changed" };
  const path = disk ?? recordedPath(records);
  if (path === undefined || !canBePath(path)) return { kind: "missing" };
  try {
    const stats = statSync(path, { bigint: true });
    if (!stats.isFile() && !stats.isBlockDevice()) return { kind: "changed" };
    return stampState(stamp, statusOf(stats, path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return { kind: "missing" };
    return { kind: "unreadable", error: ioError(error, "look at", path) };
  }
}

/** Whether a path can lead to a file: the system accepts neither an empty path nor one with a zero byte. */
function canBePath(path: string): boolean {
  return path !== "" && !path.includes("\0");
}

function stampState(stamp: DiskStamp, status: FileStatus): DiskState {
  if (stampDiffers(stamp, status)) return { kind: "changed" };
  return { kind: status.kind === "file" ? "same" : "same length" };
}

/**
 * Returns a hook `beforeBits` that calls {@link requireSameDisk}; undefined if the disk is to be ignored.
 * @throws {QdbError} USAGE if `disk` is not a possible path
 */
export function refuseOtherDisks({ disk }: DiskOptions): BitsOptions["beforeBits"] {
  if (disk === "ignore") return undefined;
  if (disk !== undefined && !canBePath(disk)) {
    throw new QdbError("USAGE", `${quote(disk)} can be no path of a disk; name the disk, or leave the option disk out`);
  }
  return (bitmap) => requireSameDisk(bitmap, disk);
}

/**
 * Refuses a bitmap whose disk, at the path `disk` or else at the absolute path that the bitmap records, differs from its stamp or cannot be
 * accessed. The files that `openQdb` and `openQdbEditor` open call this before they give out bits. For a file that was opened in another
 * way, call it after reading the bits, since errors of the file come first (spec §7), and before using them.
 * @throws {QdbError} WRONG_DISK if the disk is `changed`; IO if it is `unreadable`; both with `where.structure` "disk"
 */
export function requireSameDisk(bitmap: DiskOfBitmap, disk?: string): void {
  const state = diskState(bitmap, disk);
  if (state.kind === "changed") throw wrongDisk(bitmap, disk ?? recordedPath(bitmap.records));
  if (state.kind !== "unreadable") return;
  const { error } = state;
  const message = `${error.message}; it is the disk of the bitmap, and whether it has changed since it was stored is unknown; make it accessible`;
  throw new QdbError("IO", message, whereOf(bitmap), { cause: error });
}

/**
 * Does the same as {@link requireSameDisk} with the status of a disk that is open already.
 * @throws {QdbError} WRONG_DISK if the disk differs from the stamp
 */
export function requireDisk(bitmap: DiskOfBitmap, status: FileStatus, path: string): void {
  const stamp = recordedStamp(bitmap.records);
  if (stamp === undefined) return;
  if (stamp === "broken" || stampDiffers(stamp, status)) throw wrongDisk(bitmap, path);
}

function wrongDisk(bitmap: DiskOfBitmap, path: string | undefined): QdbError {
  const what =
    recordedStamp(bitmap.records) === "broken" || path === undefined
      ? "its disk stamp is broken"
      : `${quote(path)} is another disk than the one that the bitmap was stored for, or has changed since`;
  const message = `${what}: writes may be missing from the bitmap; make a new one`;
  return new QdbError("WRONG_DISK", message, whereOf(bitmap));
}

function whereOf({ label }: DiskOfBitmap): QdbError["where"] {
  return { structure: "disk", bitmap: label };
}

function recordedStamp(records: DiskOfBitmap["records"]): DiskStamp | "broken" | undefined {
  const item = records?.find(({ type }) => type === RECORD.stamp);
  if (item === undefined) return undefined;
  const record = decodeRecord(item);
  return record.kind === "stamp" ? record.stamp : "broken";
}

/**
 * Returns the text of the record *disk* if it is an absolute path. A relative path cannot be looked up, since the directory that it is
 * relative to is not recorded.
 */
export function recordedPath(records: DiskOfBitmap["records"]): string | undefined {
  const item = records?.find(({ type }) => type === RECORD.disk);
  if (item === undefined) return undefined;
  const record = decodeRecord(item);
  return record.kind === "disk" && isAbsolute(record.text) ? record.text : undefined;
}
