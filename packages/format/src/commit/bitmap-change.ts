import type { Bitmap } from "../bitmap/bitmap.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { Tlv } from "../records/tlv.ts";

/** The part of a table entry that its author chooses. The other fields say where its data is, and are set when it is stored. */
export interface EntryContents {
  /** UTF-8 bytes of the name. */
  readonly nameBytes: Uint8Array;
  readonly flags: number;
  /** Extra-data records, in the order in which they are written. */
  readonly extraData: readonly Tlv[];
}

/** Stored clusters of a bitmap whose bits are all clean or all dirty. A move stores none of them: their L1 entries say it. */
export interface UniformClusters {
  readonly zeros: ReadonlySet<number>;
  readonly ones: ReadonlySet<number>;
}

/** What a repair changes in a bitmap whose L1 area and entries are good. All other clusters stay where they are, unread. */
export interface ClusterRepair {
  /** Clusters that failed verification, ascending. All their bits become dirty. */
  readonly dirty: readonly number[];
  /**
   * Set if the last cluster has bits behind the end of the bitmap that are not zero: what the cluster holds once they are zero, all
   * zeros, all ones, or bytes with this CRC-32.
   */
  readonly tail?: "zeros" | "ones" | { readonly checksum: number };
}

/**
 * What a commit does with one bitmap of the next generation. Either it is in the current generation (`from`), and the other fields
 * say what changes, or it is new, and has `entry` and `bits`.
 */
export interface BitmapChange {
  /** The bitmap in the current generation. */
  readonly from?: MappedBitmap;
  /** New contents of the table entry; absent: its bytes are copied, except for the fields that say where the data is. */
  readonly entry?: EntryContents;
  /** New bits; absent: L1 area and data clusters stay where they are. */
  readonly bits?: Bitmap;
  /** The bits that `from` has, if they are known: clusters in which `bits` are the same stay where they are. */
  readonly original?: Bitmap;
  /** A repair of some clusters, or of the whole bitmap: all its bits become dirty. */
  readonly repair?: ClusterRepair | "all";
  /** Moves L1 area and data clusters into free space. Their bytes are copied with the checksums that they have. */
  readonly move?: UniformClusters;
}
