// Copies of what the caller of an action may change before the action is done.

import { Bitmap } from "../bitmap/bitmap.ts";
import type { DiskRange } from "../bitmap/shape.ts";
import type { EditSource } from "../edit/edit-options.ts";
import { exactInteger } from "../integers.ts";
import { type BitmapSession, type DiskStamp, encodeRecord } from "../records/extra-data.ts";

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

/** Copies a bitmap, which the caller may change before it is used. Other sources must not change. */
export function copySource(source: EditSource): EditSource {
  return source instanceof Bitmap ? source.clone() : source;
}
