// Whether the disk of a bitmap has changed, as `qdb info` prints it in JSON and in text.
import type { BitmapEntry } from "@qdb/format/container";
import { type DiskState, diskState } from "@qdb/io-node";
import { diskOf } from "../files/open-qdb.ts";

/**
 * The part of the document for a bitmap that is about its disk (`spec/schema/info.schema.json`). All properties are undefined if the bitmap
 * has no disk stamp.
 */
export type DiskInfo = {
  readonly disk_state: Exclude<DiskState["kind"], "unstamped"> | undefined;
  readonly disk_error: { readonly code: string; readonly message: string } | undefined;
  /** Undefined if it cannot be known whether the disk has changed. */
  readonly changed_since: boolean | undefined;
};

/** Compares the disk of a bitmap with the disk stamp of the bitmap. */
export function diskInfo(entry: BitmapEntry): DiskInfo {
  const state = diskState(diskOf(entry));
  const { kind } = state;
  return {
    disk_state: kind === "unstamped" ? undefined : kind,
    disk_error: kind === "unreadable" ? { code: state.error.code, message: state.error.message } : undefined,
    changed_since: kind === "same" || kind === "changed" ? kind === "changed" : undefined,
  };
}

const CHANGES: Readonly<Record<Exclude<DiskState["kind"], "unstamped" | "unreadable">, string>> = {
  missing: "unknown, the disk was not found",
  "same length": "unknown, only the length of a block device is compared: changes of its content go unseen",
  same: "no difference seen",
  changed: "yes, the disk is another one or was changed",
};

/** Returns why a map of a bitmap may be outdated; undefined if the disk gives no reason. It examines the disk, so call it after the bits were read. */
export function warningOf(entry: BitmapEntry): string | undefined {
  const disk = diskInfo(entry);
  const isDoubtful = disk.disk_state === "changed" || disk.disk_state === "unreadable";
  return isDoubtful ? `changed since: ${changeText(disk)}` : undefined;
}

/** Returns one line that says whether the disk has changed. Paths in it are quoted. Undefined if the bitmap has no disk stamp. */
export function changeText({ disk_state: state, disk_error: error }: Partial<DiskInfo>): string | undefined {
  if (error !== undefined) return `unknown, ${error.message}`;
  return state === undefined || state === "unreadable" ? undefined : CHANGES[state];
}
