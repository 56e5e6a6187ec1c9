import type { BitmapShape } from "../bitmap/shape.ts";
import type { Problem } from "../errors.ts";
import type { ClusterKind } from "../records/l1.ts";

/**
 * Where the data of one bitmap is. Each cluster of its bits has a kind, and a stored cluster has a place in the file. The code that reads
 * bits knows nothing else of the file; QDB files and qcow2 files each have an implementation.
 */
export interface ClusterMap {
  readonly shape: BitmapShape;
  /** Number of bits. */
  readonly bitCount: number;
  /** Name of the bitmap, for messages. */
  readonly label: string;
  /** Bytes per cluster. */
  readonly clusterSize: number;
  /** Number of clusters: ceil(ceil(bitCount / 8) / clusterSize). */
  readonly count: number;
  /** What a cluster reads as. */
  kind(cluster: number): ClusterKind;
  /** File offset of a stored cluster in bytes. */
  offset(cluster: number): number;
  /** Compares the bytes of a stored cluster with its checksum; returns the problem, if they do not match. */
  verify(cluster: number, bytes: Uint8Array): Problem | undefined;
}
