import type { Bitmap } from "../bitmap/bitmap.ts";
import type { MappedBitmap } from "../maps/load-maps.ts";
import type { Tlv } from "../records/tlv.ts";

/** What a table entry is to say; where the bits are is the commit's business. */
export interface EntryContents {
  readonly nameBytes: Uint8Array;
  readonly flags: number;
  readonly extraData: readonly Tlv[];
}

/** Clusters of a bitmap that are stored, but hold only zeros or only ones: a move leaves them out. */
export interface UniformClusters {
  readonly zeros: ReadonlySet<number>;
  readonly ones: ReadonlySet<number>;
}

/**
 * What a repair puts right in a bitmap whose L1 area and entries are good. Its bits are never held whole: the other clusters stay where
 * they are.
 */
export interface ClusterRepair {
  /** The clusters that cannot be trusted and become all dirty, ascending. */
  readonly dirty: readonly number[];
  /** What becomes of the last cluster where it is not zero behind the last bit: plain bits, or its bytes with this CRC-32. */
  readonly tail?: "zeros" | "ones" | { readonly checksum: number };
}

/** A bitmap of the next generation: one of this generation that stays, changes or moves, or a new one. */
export interface BitmapChange {
  /** The bitmap of this generation that it comes from. */
  readonly from?: MappedBitmap;
  /** What its entry says; absent: the entry's bytes stay, but for the place of its bits. */
  readonly entry?: EntryContents;
  /** Its bits; absent: L1 area and data clusters stay where they are. */
  readonly bits?: Bitmap;
  /** The bits as `from` has them: clusters that did not change stay where they are. */
  readonly original?: Bitmap;
  /** Put right by a repair: some clusters, or all of it dirty. */
  readonly mend?: ClusterRepair | "all";
  /** Moves L1 area and data clusters into free space, unread: they keep their checksums. */
  readonly move?: UniformClusters;
}
