import type { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import { bitmapPlan } from "../bits/read-bits.ts";
import type { EntryContents } from "../commit/bitmap-change.ts";
import { type Problem, QdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import type { Limits } from "../limits.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import { type MirrorOptions, refuseMirror } from "../open/header-source.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { decodeRecord, RECORD } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";

/** A bitmap with the changes that the next commit makes to it. A new bitmap has no `from`. */
export interface PendingBitmap {
  /** The bitmap in the file. */
  readonly from?: MappedBitmap;
  name: string;
  /** New contents of the table entry; undefined if the entry does not change. */
  entry?: EntryContents;
  /** New bits; undefined if the bits do not change. No caller of the library holds this object. */
  bits?: Bitmap;
  /** The bits that were loaded from the file. They are never changed. */
  original?: Bitmap;
  /** Whether the bitmap was given a new id in its chain of backups because dirty bits were removed. */
  isNewPoint?: boolean;
}

/** Returns the error of an action that a bitmap does not allow. */
export function usage(message: string, bitmap: string): QdbError {
  return new QdbError("USAGE", message, { bitmap });
}

/** Returns the records of a bitmap; undefined if they cannot be parsed. */
export function recordsOf({ entry, from }: PendingBitmap): readonly Tlv[] | undefined {
  return entry?.extraData ?? from?.entry.parseRecords();
}

/** Returns the contents of the entry of a bitmap. @throws {QdbError} the code of the bitmap's first problem, if its records cannot be parsed */
export function entryOf(bitmap: PendingBitmap): EntryContents {
  const { from, entry } = bitmap;
  if (entry !== undefined) return entry;
  if (from === undefined) throw new Error("a pending bitmap is new or comes from the file");
  const records = from.entry.parseRecords();
  // An entry without parsed records cannot be encoded again: it can only be copied or removed.
  if (records === undefined)
    throw QdbError.from(
      from.findProblem() ?? {
        code: "BAD_FIELD",
        message: "the extra data is no row of records",
        where: { bitmap: bitmap.name },
      },
    );
  return { nameBytes: from.entry.nameBytes, flags: from.entry.decodeFields().flags, extraData: records };
}

/** Returns the first problem of a bitmap in the file; undefined if there is none, and if both entry and bits of the bitmap were replaced. */
function problemOf({ entry, bits, from }: PendingBitmap): Problem | undefined {
  return entry === undefined || bits === undefined ? from?.findProblem() : undefined;
}

/** Returns the entry of a bitmap whose bits can be used. @throws {QdbError} the code of the bitmap's first problem; INCONSISTENT if in_use is set */
export function usableEntry(bitmap: PendingBitmap): EntryContents {
  const problem = problemOf(bitmap);
  if (problem !== undefined) throw QdbError.from(problem);
  const entry = entryOf(bitmap);
  if ((entry.flags & FLAG.in_use) !== 0) {
    throw new QdbError(
      "INCONSISTENT",
      "in_use is set: only the collector that set it has the true bits; remove the bitmap, or mark everything dirty",
      { bitmap: bitmap.name },
    );
  }
  return entry;
}

/**
 * Returns the entry of a bitmap whose name and records can change. The bitmap may be inconsistent; a bitmap with any other error can only
 * be copied byte for byte (spec §5, Files in error).
 * @throws {QdbError} the code of the bitmap's first problem
 */
export function soundEntry(bitmap: PendingBitmap): EntryContents {
  const problem = problemOf(bitmap);
  if (problem !== undefined && (problem.code !== "INCONSISTENT" || bitmap.from?.map === undefined))
    throw QdbError.from(problem);
  return entryOf(bitmap);
}

/**
 * Returns the damage for which a rewrite of the file makes a bitmap all dirty. Undefined if its bits can be read, if a read failed that may
 * succeed later, and if the entry would still be in error with all bits dirty.
 */
export function doubtOf({ bits, from }: PendingBitmap, { problems }: Pick<QdbIndex, "problems">): Problem | undefined {
  const damage = bits === undefined ? from?.findDamage() : undefined;
  if (from === undefined || damage === undefined || problems.isBeyondRepair(from.entry.index)) return undefined;
  return damage.code === "IO" || damage.code === "SHORT_READ" ? undefined : damage;
}

/** Returns the entry of a bitmap from which dirt may be removed. @throws {QdbError} as {@link usableEntry}; USAGE if the bitmap is frozen */
export function removableEntry(bitmap: PendingBitmap): EntryContents {
  const entry = usableEntry(bitmap);
  if ((entry.flags & FLAG.frozen) !== 0)
    throw usage("it is frozen: what was dirty then is being backed up; release it first", bitmap.name);
  return entry;
}

/**
 * Returns the bits of a bitmap with the changes so far, for reading. Loads them from the file if no action did.
 * @throws {QdbError} the code of the bitmap's first problem; LIMIT if the bits take more than `maxBitmapBytes`
 */
export function* loadBits(bitmap: PendingBitmap, limits: Limits): Plan<Bitmap> {
  const { bits, original } = bitmap;
  if (bits !== undefined) return bits;
  if (original === undefined) {
    const loaded = yield* readBits(bitmap, limits);
    // Another action may have loaded the bits at the same time, and changed them.
    bitmap.original ??= loaded;
  }
  return loadedBits(bitmap);
}

/** Returns the bits of a bitmap for {@link loadBits} and for writing a file whole. `asStored` allows the bits of an inconsistent bitmap. @throws {QdbError} as {@link loadBits} */
export function* readBits(bitmap: PendingBitmap, { maxBitmapBytes }: Limits, asStored = false): Plan<Bitmap> {
  const { from } = bitmap;
  const problem = from?.findProblem();
  if (problem !== undefined && !(asStored && problem.code === "INCONSISTENT")) throw QdbError.from(problem);
  if (from?.map === undefined)
    throw new QdbError("BAD_FIELD", "the bitmap has no usable L1 area", { bitmap: bitmap.name });
  return yield* bitmapPlan(from.map, maxBitmapBytes === undefined ? {} : { maxBitmapBytes });
}

/** Returns bits that {@link loadBits} loaded, for reading. */
export function loadedBits({ bits, original }: PendingBitmap): Bitmap {
  const loaded = bits ?? original;
  if (loaded === undefined) throw new Error("the bits of a pending bitmap are loaded before they are used");
  return loaded;
}

/** Returns bits that {@link loadBits} loaded, for changing them in place. The caller stores them as `bits` then. */
export function bitsToChange(bitmap: PendingBitmap): Bitmap {
  return bitmap.bits ?? loadedBits(bitmap).clone();
}

/** Loads bits that are combined into another bitmap, for which clean bits matter too. @throws {QdbError} as {@link loadBits}; BAD_CHECKSUM if the header was read from the mirror and that is not accepted */
export function* loadSource(bitmap: PendingBitmap, index: QdbIndex, options: Limits & MirrorOptions): Plan<Bitmap> {
  refuseMirror(index, options, bitmap.name);
  return yield* loadBits(bitmap, options);
}

/** Returns size and granularity of a bitmap. */
export function shapeOf({ bits, from }: PendingBitmap): BitmapShape {
  const source = bits ?? from?.entry.decodeFields();
  if (source === undefined) throw new Error("a pending bitmap is new or comes from the file");
  return { size: source.size, granularity: source.granularity };
}

/** Whether the contents of an entry equal those in the file, so that the bytes of the entry can be copied. An entry whose reserved bytes are not zero is not copied (QDB-TBL-008). */
export function isSameEntry(from: MappedBitmap | undefined, entry: EntryContents): boolean {
  if (from === undefined) return false;
  const records = from.entry.parseRecords();
  const { flags, reserved } = from.entry.decodeFields();
  return (
    flags === entry.flags &&
    reserved === 0 &&
    equalBytes(from.entry.nameBytes, entry.nameBytes) &&
    records?.length === entry.extraData.length &&
    entry.extraData.every(
      (record, at) => record.type === records[at]?.type && equalBytes(record.data, records[at].data),
    )
  );
}

/** Whether the name of a bitmap is UTF-8. Otherwise its label is `hex:` and the bytes of the name. */
export function hasTextName({ entry, from }: PendingBitmap): boolean {
  return entry !== undefined || from?.entry.name !== undefined;
}

/** Returns the name of the successor in the records of a bitmap; undefined if there is none. */
export function successorOf(bitmap: PendingBitmap): string | undefined {
  const record = recordsOf(bitmap)?.find(({ type }) => type === RECORD.successor);
  const decoded = record === undefined ? undefined : decodeRecord(record);
  return decoded?.kind === "successor" ? decoded.text : undefined;
}
