import type { BitmapShape } from "../bitmap/shape.ts";
import { ClusterBits } from "../bits/cluster-bits.ts";
import type { ChangeOptions } from "../bits/readable-clusters.ts";
import { QdbError } from "../errors.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import { type BitmapSession, decodeRecord, RECORD } from "../records/extra-data.ts";
import { inUseMessage } from "../records/in-use.ts";
import type { Tlv } from "../records/tlv.ts";
import type { ContainerBitmap } from "./container.ts";

/** A bitmap with the changes that the next commit makes to it. A new bitmap has neither `from` nor `index`. */
export interface PendingBitmap {
  /** The bitmap in the file. */
  readonly from?: ContainerBitmap;
  /** Its index in the container. */
  readonly index?: number;
  name: string;
  /** New contents of the table entry; undefined if the entry does not change. Set by `BitmapList.setEntry`. */
  entry?: EntryContents;
  /** The bits with the changes so far; undefined if no action needed them. No caller of the library holds this object. */
  bits?: ClusterBits;
  /** Whether the bitmap was given a new id in its chain of backups because dirty bits were removed. */
  isNewPoint?: boolean;
}

/** Returns the error of an action that a bitmap does not allow. */
export function usage(message: string, bitmap: string): QdbError {
  return new QdbError("USAGE", message, { bitmap });
}

/** Returns the contents of the entry of a bitmap. @throws {QdbError} the code of the bitmap's first problem, if its records cannot be parsed */
export function entryOf(bitmap: PendingBitmap): EntryContents {
  const { from, entry } = bitmap;
  if (entry !== undefined) return entry;
  if (from === undefined) throw new Error("a pending bitmap is new or comes from the file");
  const parsed = from.parseEntry();
  if (parsed !== undefined) return parsed;
  const problem = from.findProblem();
  if (problem !== undefined) throw QdbError.from(problem);
  throw new QdbError("BAD_FIELD", "the extra data is no row of records", { bitmap: bitmap.name });
}

/** Returns the entry of a bitmap whose bits can be used. @throws {QdbError} the code of the bitmap's first problem; INCONSISTENT if in_use is set */
export function usableEntry(bitmap: PendingBitmap): EntryContents {
  refuseProblem(bitmap);
  const entry = entryOf(bitmap);
  if ((entry.flags & FLAG.in_use) !== 0)
    throw new QdbError("INCONSISTENT", inUseMessage(sessionIn(entry.extraData) !== undefined), { bitmap: bitmap.name });
  return entry;
}

/** Refuses a bitmap that has a problem in the file, unless both its entry and its bits were replaced. @throws {QdbError} the code of its first problem */
function refuseProblem({ entry, bits, from }: PendingBitmap, accepted = false): void {
  if (entry !== undefined && bits !== undefined) return;
  const problem = from?.findProblem();
  if (problem === undefined) return;
  if (!(accepted && problem.code === "INCONSISTENT" && from?.map !== undefined)) throw QdbError.from(problem);
}

/**
 * Returns the entry of a bitmap whose name and records can change. The bitmap may be inconsistent; a bitmap with any other error can only
 * be copied byte for byte (spec §5, Files in error).
 * @throws {QdbError} the code of the bitmap's first problem
 */
export function soundEntry(bitmap: PendingBitmap): EntryContents {
  refuseProblem(bitmap, true);
  return entryOf(bitmap);
}

/** Returns the entry of a bitmap from which dirt may be removed. @throws {QdbError} as {@link usableEntry}; USAGE if the bitmap is frozen */
export function removableEntry(bitmap: PendingBitmap): EntryContents {
  const entry = usableEntry(bitmap);
  if ((entry.flags & FLAG.frozen) !== 0)
    throw usage("it is frozen: what was dirty then is being backed up; release it first", bitmap.name);
  return entry;
}

/** Returns the bits of a bitmap with the changes so far. Nothing is read. @throws {QdbError} the code of the bitmap's first problem */
export function bitsOf(bitmap: PendingBitmap, options: ChangeOptions): ClusterBits {
  if (bitmap.bits !== undefined) return bitmap.bits;
  const { from } = bitmap;
  const problem = from?.findProblem();
  if (problem !== undefined) throw QdbError.from(problem);
  if (from?.map === undefined)
    throw new QdbError("BAD_FIELD", "the bitmap has no usable L1 area", { bitmap: bitmap.name });
  bitmap.bits = ClusterBits.over(from.map, options);
  return bitmap.bits;
}

/** Returns size and granularity of a bitmap. */
export function shapeOf({ bits, from }: PendingBitmap): BitmapShape {
  const source = bits ?? from?.shape;
  if (source === undefined) throw new Error("a pending bitmap is new or comes from the file");
  return { size: source.size, granularity: source.granularity };
}

/** Whether the name of a bitmap is UTF-8. Otherwise its label is `hex:` and the bytes of the name. */
export function hasTextName({ entry, from }: PendingBitmap): boolean {
  return entry !== undefined || from?.name !== undefined;
}

/** Returns the name of the successor in records; undefined if there is none. */
export function successorIn(records: readonly Tlv[]): string | undefined {
  const record = records.find(({ type }) => type === RECORD.successor);
  const decoded = record === undefined ? undefined : decodeRecord(record);
  return decoded?.kind === "successor" ? decoded.text : undefined;
}

/** Returns the session in records; undefined if there is none, or if the record breaks the rule of its type. */
export function sessionIn(records: readonly Tlv[]): BitmapSession | undefined {
  const record = records.find(({ type }) => type === RECORD.session);
  const decoded = record === undefined ? undefined : decodeRecord(record);
  return decoded?.kind === "session" ? decoded.session : undefined;
}

/** Returns the name of the successor of a bitmap; undefined if there is none, or if the records cannot be parsed. */
export function successorOf({ entry, from }: PendingBitmap): string | undefined {
  const known = entry ?? from?.parseEntry();
  return known === undefined ? undefined : successorIn(known.extraData);
}
