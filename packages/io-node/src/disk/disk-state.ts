import { statSync } from "node:fs";
import { type DiskStamp, decodeRecord, QdbError, quote, RECORD, type Tlv } from "@qdb/format";
import { errnoOf, ioError } from "../system/errors.ts";
import { type Facts, factsOf } from "../system/facts.ts";
import { stampDiffers } from "./stamp.ts";

/** What a bitmap records about its disk. */
export interface DiskOfBitmap {
  /** Name of the bitmap, for messages. */
  readonly label: string;
  /** Its extra-data records; undefined if they cannot be parsed. */
  readonly records: readonly Tlv[] | undefined;
}

/**
 * What the disk of a bitmap is, compared with its stamp (spec §3, record 2).
 * - `unstamped`: there is no stamp to compare with.
 * - `missing`: no path is recorded, or nothing is there. This alone is unknown and no doubt.
 * - `unreadable`: something is there, or in the way to it, that cannot be looked at; `error` (IO) says why.
 * - `same length`: it is a device, and the stamp of one holds nothing but the length. Changes of its content go unseen.
 * - `same`: no difference is seen, which proves nothing (QDB-REC-027).
 * - `changed`: it is another disk, it was changed, or the stamp is broken (QDB-REC-013).
 */
export type DiskState =
  | { readonly kind: "unstamped" | "missing" | "same length" | "same" | "changed" }
  | { readonly kind: "unreadable"; readonly error: QdbError };

/** Looks at the disk that the record of a bitmap names. Never throws for what is or is not there. */
export function diskState({ records }: Pick<DiskOfBitmap, "records">): DiskState {
  const stamp = recordedStamp(records);
  if (stamp === undefined) return { kind: "unstamped" };
  if (stamp === "broken") return { kind: "changed" };
  const path = recordedPath(records);
  // No file has such a path.
  if (path === undefined || path === "" || path.includes("\0")) return { kind: "missing" };
  try {
    const stats = statSync(path, { bigint: true });
    if (!stats.isFile() && !stats.isBlockDevice()) return { kind: "changed" };
    return stampState(stamp, factsOf(stats, path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return { kind: "missing" };
    return { kind: "unreadable", error: ioError(error, "look at", path) };
  }
}

function stampState(stamp: DiskStamp, facts: Facts): DiskState {
  if (stampDiffers(stamp, facts)) return { kind: "changed" };
  return { kind: facts.kind === "file" ? "same" : "same length" };
}

/**
 * Refuses the bits of a bitmap whose disk differs from its stamp, or is there and cannot be looked at. To be called after
 * the bits were read (QDB-ERR-025), and before anything is done with them.
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

/** The same for an open disk, wherever it is: it must be the one that the bitmap was stored for. @throws {QdbError} WRONG_DISK */
export function requireDisk(bitmap: DiskOfBitmap, facts: Facts, path: string): void {
  const stamp = recordedStamp(bitmap.records);
  if (stamp === undefined) return;
  if (stamp === "broken" || stampDiffers(stamp, facts)) throw wrongDisk(bitmap, path);
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
