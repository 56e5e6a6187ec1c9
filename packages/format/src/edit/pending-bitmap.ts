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
import type { Tlv } from "../records/tlv.ts";

/** A bitmap under edit. */
export interface PendingBitmap {
  readonly from?: MappedBitmap;
  name: string;
  entry?: EntryContents;
  bits?: Bitmap;
  original?: Bitmap;
  /** Its bits were removed already in these edits: the point in its chain is a new one. */
  isNewPoint?: boolean;
}

/** A refusal of an action on a bitmap. */
export function usage(message: string, bitmap: string): QdbError {
  return new QdbError("USAGE", message, { bitmap });
}

/** The records of a bitmap under edit; none where its extra data is no row of records. */
export function recordsOf(bitmap: PendingBitmap): readonly Tlv[] {
  return bitmap.entry?.extraData ?? bitmap.from?.entry.parseRecords() ?? [];
}

/** What the entry of a bitmap under edit says. @throws {QdbError} its problem, where its extra data is no row of records */
export function entryOf(bitmap: PendingBitmap): EntryContents {
  const { from, entry } = bitmap;
  if (entry !== undefined) return entry;
  if (from === undefined) throw new Error("a bitmap under edit is new or comes from the file");
  const records = from.entry.parseRecords();
  // Extra data that is no row of records cannot be written anew: such a bitmap is copied or removed only.
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

/** What keeps a bitmap from being used, while nothing put it right. */
function problemOf({ entry, bits, from }: PendingBitmap): Problem | undefined {
  return entry === undefined || bits === undefined ? from?.findProblem() : undefined;
}

/** The entry of a bitmap whose bits can be used. @throws {QdbError} its problem, while nothing put it right */
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
 * The entry of a bitmap whose name and records may change: one that is only inconsistent too. One in error for another reason
 * is copied byte for byte (spec §5, Files in error).
 * @throws {QdbError} its problem, while nothing put it right
 */
export function soundEntry(bitmap: PendingBitmap): EntryContents {
  const problem = problemOf(bitmap);
  if (problem !== undefined && (problem.code !== "INCONSISTENT" || bitmap.from?.map === undefined))
    throw QdbError.from(problem);
  return entryOf(bitmap);
}

/**
 * Why a bitmap that stands in the file gives no bits, and never will; undefined where it gives some, where what could not be read may be
 * there the next time, and where its entry is in an error that dirt does not mend.
 */
export function doubtOf({ bits, from }: PendingBitmap, { problems }: Pick<QdbIndex, "problems">): Problem | undefined {
  const damage = bits === undefined ? from?.findDamage() : undefined;
  if (from === undefined || damage === undefined || problems.isBeyondRepair(from.entry.index)) return undefined;
  return damage.code === "IO" || damage.code === "SHORT_READ" ? undefined : damage;
}

/** The bits of a bitmap under edit; `asStored`: of one that is only inconsistent too. @throws {QdbError} its problem; LIMIT */
export function* loadBits(bitmap: PendingBitmap, { maxBitmapBytes }: Limits, asStored = false): Plan<Bitmap> {
  if (bitmap.bits !== undefined) return bitmap.bits;
  const { from } = bitmap;
  const problem = from?.findProblem();
  if (problem !== undefined && !(asStored && problem.code === "INCONSISTENT")) throw QdbError.from(problem);
  if (from?.map === undefined)
    throw new QdbError("BAD_FIELD", "the bitmap has no usable L1 area", { bitmap: bitmap.name });
  bitmap.original = yield* bitmapPlan(from.map, maxBitmapBytes === undefined ? {} : { maxBitmapBytes });
  bitmap.bits = bitmap.original;
  return bitmap.bits;
}

/** The bits of a bitmap that are combined into another: what they call clean counts too. @throws {QdbError} as {@link loadBits}; BAD_CHECKSUM where the mirror was used and is not accepted */
export function* loadSource(bitmap: PendingBitmap, index: QdbIndex, options: Limits & MirrorOptions): Plan<Bitmap> {
  refuseMirror(index, options, bitmap.name);
  return yield* loadBits(bitmap, options);
}

/** Size and granularity of a bitmap under edit. */
export function shapeOf({ bits, from }: PendingBitmap): BitmapShape {
  if (bits !== undefined) return { size: bits.size, granularity: bits.granularity };
  return { size: from?.entry.decodeFields().size ?? 0n, granularity: from?.entry.decodeFields().granularity ?? 0 };
}

/** Whether an entry says what it said before, and its bytes can stay: reserved ones that are not zero cannot (QDB-TBL-008). */
export function isSameEntry(from: MappedBitmap | undefined, entry: EntryContents): boolean {
  if (from === undefined) return false;
  const { nameBytes } = from.entry;
  const records = from.entry.parseRecords();
  const fields = from.entry.decodeFields();
  return (
    fields.flags === entry.flags &&
    fields.reserved === 0 &&
    equalBytes(nameBytes, entry.nameBytes) &&
    records?.length === entry.extraData.length &&
    entry.extraData.every(
      (record, at) => record.type === records[at]?.type && equalBytes(record.data, records[at].data),
    )
  );
}
