import type { FileChunk } from "../ports/file-image.ts";
import type { EntryFields } from "../records/bitmap-entry.ts";

/** A data cluster to copy to another place in the file. Both are file offsets in bytes. */
export interface ClusterCopy {
  readonly from: number;
  readonly to: number;
  /** Set if bits past the end of the bitmap are to become zero in the copy. */
  readonly trim?: {
    /** Number of bits that are kept, counted from the first bit of the cluster. */
    readonly bitCount: number;
    /** CRC-32 that the cluster must have after the other bits have become zero. */
    readonly checksum: number;
  };
}

/** The fields of a table entry that describe the data of the bitmap: place and checksum of the L1 area, size and granularity. */
export type DataFields = Pick<EntryFields, "l1TableOffset" | "l1Size" | "granularity" | "size" | "l1Checksum">;

/** What a commit writes for one bitmap, apart from its table entry. The space for it is allocated already. */
export interface BitmapWrites {
  /** The fields of the table entry whose values change. */
  readonly fields: Partial<DataFields>;
  /** The bytes of the new L1 area. Undefined if the L1 area does not change, or if its bytes are generated as they are written (see `chunks`). */
  readonly l1Area?: Uint8Array;
  /** Data clusters to copy within the file. */
  readonly copies: readonly ClusterCopy[];
  /** Returns everything else to write: the new L1 area and new data clusters. Each call generates the chunks again, whose bytes are valid until the next one. */
  chunks(): Iterable<FileChunk>;
}
