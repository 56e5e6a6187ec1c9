import type { ClusterBits } from "../bits/cluster-bits.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { EntryContents } from "../records/entry-contents.ts";

/**
 * Numbers of the stored clusters of a bitmap in which all bits are zeros or all are ones. A commit that moves the bitmap does not copy
 * these clusters: it writes L1 entries that read as zeros or ones.
 */
export interface UniformClusters {
  readonly zeros: ReadonlySet<number>;
  readonly ones: ReadonlySet<number>;
}

/**
 * The repair of single clusters of a bitmap whose L1 area and L1 entries are valid. All other clusters stay where they are, and are not
 * read again.
 */
export interface ClusterRepair {
  /** Numbers of the clusters that failed verification, in ascending order. All bits of these clusters become dirty. */
  readonly dirty: readonly number[];
  /**
   * Set if the last cluster has bits that are not zero past the end of the bitmap. Says what the cluster holds once these bits are zero:
   * only zeros, only ones, or bytes with this CRC-32.
   */
  readonly tail?: "zeros" | "ones" | { readonly checksum: number };
}

/**
 * What a commit does with one bitmap. A bitmap of the current generation has `from`, and the other fields say what changes. A new bitmap
 * has no `from`, but `entry` and `bits`.
 */
export interface BitmapChange {
  /** The bitmap as it is in the current generation. */
  readonly from?: MappedBitmap;
  /**
   * New contents of the table entry. If absent, the bytes of the current entry are copied, except for the fields that describe where the
   * data is stored.
   */
  readonly entry?: EntryContents;
  /** New bits. Unread clusters stay where `from` has them, with their checksums. If absent, the L1 area and all data clusters stay where they are. */
  readonly bits?: ClusterBits;
  /** What is to be made dirty: some clusters, or with "all" every bit of the bitmap. */
  readonly repair?: ClusterRepair | "all";
  /**
   * Set if the L1 area and the data clusters are to be moved into free space. The bytes of each cluster are copied without being verified,
   * and the copy keeps the checksum of the L1 area.
   */
  readonly move?: UniformClusters;
}
