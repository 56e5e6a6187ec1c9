import type { Bitmap } from "../bitmap/bitmap.ts";
import type { Tlv } from "../records/tlv.ts";
import type { MappedBitmap } from "./maps.ts";

/** What a table entry is to say; where the bits are is the commit's business. */
export interface NextEntry {
  readonly nameBytes: Uint8Array;
  readonly flags: number;
  readonly extraData: readonly Tlv[];
}

/** Clusters of a bitmap that are stored, but hold only zeros or only ones: a move leaves them out. */
export interface PlainClusters {
  readonly zeros: ReadonlySet<number>;
  readonly ones: ReadonlySet<number>;
}

/** A bitmap of the next generation: one of this generation that stays, changes or moves, or a new one. */
export interface NextBitmap {
  /** The bitmap of this generation that it comes from. */
  readonly from?: MappedBitmap;
  /** What its entry says; absent: the entry's bytes stay, but for the place of its bits. */
  readonly entry?: NextEntry;
  /** Its bits; absent: L1 area and data clusters stay where they are. */
  readonly bits?: Bitmap;
  /** The bits as `from` has them: clusters that did not change stay where they are. */
  readonly original?: Bitmap;
  /** Moves L1 area and data clusters into free space, unread: they keep their checksums. */
  readonly move?: PlainClusters;
}
