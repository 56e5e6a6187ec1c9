// What is known of a bitmap's disk, as `qdb info` gives it in JSON, and the words for it.
import type { BitmapEntry } from "@qdb/format";
import { type DiskState, diskState } from "@qdb/io-node";
import { diskOf } from "../files/open-qdb.ts";

/** Part of what is said of a bitmap (`spec/schema/info.schema.json`); all undefined where there is no stamp to compare with. */
export type DiskInfo = {
  readonly disk_state: Exclude<DiskState["kind"], "unstamped"> | undefined;
  readonly disk_error: { readonly code: string; readonly message: string } | undefined;
  /** Undefined where a change would not be seen. */
  readonly changed_since: boolean | undefined;
};

/** Looks at the disk of a bitmap. */
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

/** Whether the disk changed, for people: on one line, with paths quoted. Undefined where there is no stamp to compare with. */
export function changeText({ disk_state: state, disk_error: error }: DiskInfo): string | undefined {
  if (error !== undefined) return `unknown, ${error.message}`;
  return state === undefined || state === "unreadable" ? undefined : CHANGES[state];
}
