import type { FileChunk } from "../ports/file-image.ts";
import type { EntryFields } from "../records/bitmap-entry.ts";

/** A data cluster that is copied to another place in the file, both in bytes from its start. */
export interface ClusterCopy {
  readonly from: number;
  readonly to: number;
  /** Set if bits behind the end of the bitmap become zero in the copy. */
  readonly trim?: {
    /** Number of bits that stay, from the first on. */
    readonly bitCount: number;
    /** CRC-32 of the trimmed bytes. */
    readonly checksum: number;
  };
}

/** The fields of a table entry that describe the bitmap's data: its place, its checksum and its shape. */
export type DataFields = Pick<EntryFields, "l1TableOffset" | "l1Size" | "granularity" | "size" | "l1Checksum">;

/** What a commit writes for one bitmap, apart from its table entry. Space for it is allocated. */
export interface BitmapWrites {
  /** Fields of the table entry that change. */
  readonly fields: Partial<DataFields>;
  /** The new L1 area; undefined if it does not change, or is too large to be held and is made as it is written. */
  readonly l1Area?: Uint8Array;
  /** Clusters to copy. */
  readonly copies: readonly ClusterCopy[];
  /** Everything else to write. Each call makes new chunks. */
  chunks(): Iterable<FileChunk>;
}
