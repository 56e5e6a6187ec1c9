import type { Bitmap } from "../bitmap/bitmap.ts";
import type { BitSource } from "../bits/bit-source.ts";
import type { ChangeOptions } from "../bits/readable-clusters.ts";
import type { Tlv } from "../records/tlv.ts";

/** Options of `Edits`. */
export interface EditOptions extends ChangeOptions {
  /** Returns 16 random bytes at each call, for the ids of bitmaps. */
  readonly newId: () => Uint8Array;
}

/** A source of a combination: a bitmap in memory, or bits that are read as they are needed (`Edits.source`). */
export type EditSource = Bitmap | BitSource;

/** A new bitmap. `Edits` copies what it is given: changes that the caller makes later have no effect. */
export interface NewBitmap {
  readonly name: string;
  readonly bits: Bitmap;
  readonly flags: number;
  /** Extra-data records, in the order in which they are written. */
  readonly extraData: readonly Tlv[];
}
