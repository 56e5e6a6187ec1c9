// Arguments of actions: copies of what the caller may change before the action is done, and refusals.

import { Bitmap } from "../bitmap/bitmap.ts";
import type { DiskRange } from "../bitmap/shape.ts";
import type { EditSource } from "../edit/edit-options.ts";
import { QdbError } from "../errors.ts";
import { exactInteger } from "../integers.ts";
import { quote } from "../quote.ts";
import { type BitmapSession, type DiskStamp, encodeRecord } from "../records/extra-data.ts";
import { type BitmapNames, notFound } from "./bitmap-names.ts";

/** Copies a range. @throws {QdbError} USAGE if a value is not exact */
export function copyRange({ offset, length }: DiskRange): DiskRange {
  exactInteger(offset, "offset");
  exactInteger(length, "length");
  return { offset, length };
}

/** Copies a session. @throws {QdbError} USAGE for a session that the format does not allow */
export function copySession({ id, file }: BitmapSession): BitmapSession {
  encodeRecord({ kind: "session", session: { id, file } });
  return { id, file };
}

/** Copies a disk stamp. @throws {QdbError} USAGE for a stamp that the format does not allow */
export function copyStamp({ length, mtime, file }: DiskStamp): DiskStamp {
  encodeRecord({ kind: "stamp", stamp: { length, mtime, file } });
  return { length, mtime, file };
}

/** Copies a source, unless it is the name of a bitmap. A source that is no `Bitmap` must not change. @throws {QdbError} NOT_FOUND for a name that no bitmap has */
export function copySource<T>(source: EditSource | string, names: BitmapNames<T>): EditSource | string {
  if (source instanceof Bitmap) return source.clone();
  if (typeof source === "string" && names.get(source) === undefined) throw notFound(source);
  return source;
}

/** Refuses what is no outcome of a backup. @throws {QdbError} USAGE */
export function requireOutcome(outcome: unknown): void {
  if (outcome !== "done" && outcome !== "failed")
    throw new QdbError("USAGE", `${quote(String(outcome))} is no outcome of a backup; it is "done" or "failed"`);
}
