import type { FileChunk } from "../ports/file-image.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";

/** A cluster that moves, with the checksum that it has. */
export interface ClusterCopy {
  readonly from: number;
  readonly to: number;
  /** Number of its bits that stay; those behind become zero. Absent: it moves as it is. */
  readonly bits?: number;
  /** CRC-32 that it must have then. */
  readonly checksum?: number;
}

/** What a table entry says of the place and shape of its bitmap. */
export type DataFields = Partial<
  Pick<BitmapEntry["fields"], "l1TableOffset" | "l1Size" | "granularity" | "size" | "l1Checksum">
>;

/** What a commit stores for a bitmap of the next generation; nothing where it stays as it is. */
export interface BitmapWrites {
  /** What changes in its table entry. */
  readonly place?: DataFields;
  /** Its new L1 area, where it is held. */
  readonly area?: Uint8Array;
  readonly copies?: readonly ClusterCopy[];
  /** What is written, beside the copies. */
  chunks?(): Iterable<FileChunk>;
}
