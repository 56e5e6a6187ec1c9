// What is written of a bitmap with pending changes. Callers get copies of the bits, so that later actions do not change what they write.
import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapChange } from "../commit/bitmap-change.ts";
import type { BitmapContents } from "../commit/file-contents.ts";
import type { Limits } from "../limits.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Plan } from "../ports/plan.ts";
import { doubtOf, entryOf, isSameEntry, type PendingBitmap, readBits, shapeOf } from "./pending-bitmap.ts";

/** Returns what a commit does with a bitmap. */
export function changeOf({ from, entry, bits, original }: PendingBitmap): BitmapChange {
  const isSame = bits !== undefined && original !== undefined && bits.equals(original);
  return {
    ...(from === undefined ? {} : { from }),
    ...(entry === undefined || isSameEntry(from, entry) ? {} : { entry }),
    ...(bits === undefined || isSame ? {} : { bits: bits.clone(), ...(original === undefined ? {} : { original }) }),
  };
}

/** Returns the contents of a bitmap for a file that is written whole. A bitmap whose bits are in doubt is all dirty. @throws {QdbError} the code of the bitmap's first problem; LIMIT */
export function* contentsOf(bitmap: PendingBitmap, index: QdbIndex, limits: Limits): Plan<BitmapContents> {
  const { nameBytes, flags, extraData } = entryOf(bitmap);
  const known = doubtOf(bitmap, index) === undefined ? (bitmap.bits ?? bitmap.original) : Bitmap.dirty(shapeOf(bitmap));
  return { nameBytes, flags, extraData, bits: known?.clone() ?? (yield* readBits(bitmap, limits, true)) };
}
