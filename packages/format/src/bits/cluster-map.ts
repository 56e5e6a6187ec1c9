import type { BitmapShape } from "../bitmap/shape.ts";
import type { Problem } from "../errors.ts";
import type { ClusterKind } from "../records/l1.ts";

/**
 * Where the data of one bitmap is: a kind and, for stored clusters, a place for each cluster of its bits.
 * QDB's L1 area is one; the bitmap table of a qcow2 file is another. What reads bits knows only this.
 */
export interface ClusterMap {
  readonly shape: BitmapShape;
  /** Number of bits. */
  readonly bitCount: number;
  /** Name, for messages. */
  readonly label: string;
  /** Bytes a cluster. */
  readonly clusterSize: number;
  /** Number of clusters: ceil(ceil(bitCount / 8) / clusterSize). */
  readonly count: number;
  kind(cluster: number): ClusterKind;
  /** File offset of a stored cluster in bytes. */
  offset(cluster: number): number;
  /** What is wrong with a stored cluster's bytes; undefined when nothing is. */
  verify(cluster: number, bytes: Uint8Array): Problem | undefined;
}
