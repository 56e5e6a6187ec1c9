import type { ByteRange } from "@qdb/format";
import type { NumberList } from "@qdb/format/internal";

/** Whether two ranges share a cluster. An empty range shares none with any other. */
export function shareCluster(a: ByteRange, b: ByteRange, clusterSize: number): boolean {
  if (a.length === 0 || b.length === 0) return false;
  return (
    firstCluster(a, clusterSize) < endCluster(b, clusterSize) &&
    firstCluster(b, clusterSize) < endCluster(a, clusterSize)
  );
}

function firstCluster(range: ByteRange, clusterSize: number): number {
  return Math.floor(range.offset / clusterSize);
}

function endCluster(range: ByteRange, clusterSize: number): number {
  return Math.ceil((range.offset + range.length) / clusterSize);
}

/** Adds the number of each cluster of a range to a list. Clusters past the end of a file of `fileSize` bytes are left out. */
export function pushClusters(
  numbers: NumberList,
  { offset, length }: ByteRange,
  clusterSize: number,
  fileSize: number,
): void {
  const end = Math.min(offset + length, fileSize);
  for (let cluster = Math.floor(offset / clusterSize); cluster * clusterSize < end; cluster++) numbers.push(cluster);
}
