import type { BitmapShape } from "../bitmap/shape.ts";
import type { Problem } from "../errors.ts";
import type { ClusterKind } from "../records/l1.ts";

/**
 * Where the bits of one bitmap are in a file, cluster by cluster: a cluster reads as zeros, reads as ones, or is stored at a file offset.
 * The code that reads bits depends on this interface alone, so that it works for QDB files and qcow2 files, which each implement it.
 */
export interface ClusterMap {
  readonly shape: BitmapShape;
  /** Number of bits. */
  readonly bitCount: number;
  /** Name of the bitmap, for error messages. */
  readonly label: string;
  /** Bytes per cluster. */
  readonly clusterSize: number;
  /** Number of clusters that the bits take: ceil(ceil(bitCount / 8) / clusterSize). */
  readonly count: number;
  /** Returns whether a cluster reads as zeros, reads as ones, or is stored ("data"). */
  kind(cluster: number): ClusterKind;
  /** Returns the file offset of a stored cluster, in bytes. */
  offset(cluster: number): number;
  /**
   * Returns the cluster after the run that begins with `cluster`, at most `end`: clusters that read the same and are not stored, or that are
   * stored one behind the other. May be left out: each cluster is a run of its own then.
   */
  runEnd?(cluster: number, end: number): number;
  /**
   * Compares the bytes of a stored cluster with its checksum. Returns the problem if they do not match; undefined if they match, or if the
   * cluster has no checksum.
   */
  verify(cluster: number, bytes: Uint8Array): Problem | undefined;
  /** Returns the CRC-32 of a stored cluster; undefined if the file has none for it. Absent if such files have no checksums. */
  checksum?(cluster: number): number | undefined;
}
