import { statSync } from "node:fs";
import { type DiskStamp, decodeRecord, QdbError, quote, RECORD, type Tlv } from "@qdb/format";
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

/**
 * The state of the disk of a bitmap, compared with its stamp (spec §3, record 2).
 * - `unstamped`: there is no stamp to compare with.
 * - `missing`: no path is recorded, or there is no file. Whether the disk changed is unknown; the bits may be used.
 * - `unreadable`: the disk, or a directory on the way to it, cannot be accessed; `error` (IO) says why.
 * - `same length`: the disk is a device, whose stamp holds the length only. Changes of its content are not detected.
 * - `same`: no difference was found, which proves nothing (QDB-REC-027).
 * - `changed`: the disk is another one or was changed, or the stamp is broken (QDB-REC-013).
 */
export type DiskState =
  | { readonly kind: "unstamped" | "missing" | "same length" | "same" | "changed" }
  | { readonly kind: "unreadable"; readonly error: QdbError };

/** Compares the disk that a bitmap names with its stamp. Reports errors in the result instead of throwing them. */
export function diskState({ records }: Pick<DiskOfBitmap, "records">): DiskState {
  const stamp = recordedStamp(records);
  if (stamp === undefined) return { kind: "unstamped" };
  if (stamp === "broken") return { kind: "changed" };
  const path = recordedPath(records);
  // No file can have such a path.
  if (path === undefined || path === "" || path.includes("\0")) return { kind: "missing" };
  try {
    const stats = statSync(path, { bigint: true });
    if (!stats.isFile() && !stats.isBlockDevice()) return { kind: "changed" };
    return stampState(stamp, statusOf(stats, path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return { kind: "missing" };
    return { kind: "unreadable", error: ioError(error, "look at", path) };
  }
}

function stampState(stamp: DiskStamp, status: FileStatus): DiskState {
  if (stampDiffers(stamp, status)) return { kind: "changed" };
  return { kind: status.kind === "file" ? "same" : "same length" };
}

/**
 * Refuses a bitmap whose disk differs from its stamp or cannot be accessed. Call it after reading the bits (QDB-ERR-025), and
 * before using them.
 * @throws {QdbError} WRONG_DISK; IO when the disk is `unreadable`
 */
export function requireSameDisk(bitmap: DiskOfBitmap): void {
  const state = diskState(bitmap);
  if (state.kind === "changed") throw wrongDisk(bitmap, recordedPath(bitmap.records));
  if (state.kind !== "unreadable") return;
  const { error } = state;
  const message = `${error.message}; it is the disk of the bitmap, and whether it has changed since it was stored is unknown; make it accessible`;
  throw new QdbError("IO", message, { bitmap: bitmap.label }, { cause: error });
}

/** Like {@link requireSameDisk} for a disk that is open already, at any path. @throws {QdbError} WRONG_DISK */
export function requireDisk(bitmap: DiskOfBitmap, status: FileStatus, path: string): void {
  const stamp = recordedStamp(bitmap.records);
  if (stamp === undefined) return;
  if (stamp === "broken" || stampDiffers(stamp, status)) throw wrongDisk(bitmap, path);
}

function wrongDisk({ records, label }: DiskOfBitmap, path: string | undefined): QdbError {
  const what =
    recordedStamp(records) === "broken" || path === undefined
      ? "its disk stamp is broken"
      : `${quote(path)} is another disk than the one that the bitmap was stored for, or has changed since`;
  return new QdbError("WRONG_DISK", `${what}: writes may be missing from the bitmap; make a new one`, {
    bitmap: label,
  });
}

function recordedStamp(records: DiskOfBitmap["records"]): DiskStamp | "broken" | undefined {
  const item = records?.find(({ type }) => type === RECORD.stamp);
  if (item === undefined) return undefined;
  const record = decodeRecord(item);
  return record.kind === "stamp" ? record.stamp : "broken";
}

function recordedPath(records: DiskOfBitmap["records"]): string | undefined {
  const item = records?.find(({ type }) => type === RECORD.disk);
  if (item === undefined) return undefined;
  const record = decodeRecord(item);
  return record.kind === "disk" ? record.text : undefined;
}
