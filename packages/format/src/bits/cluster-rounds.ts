import { alignedEnd } from "./derived-clusters.ts";

/** Maximum number of bytes of clusters that are read and computed at a time. */
const ROUND_BYTES = 1024 * 1024;

/**
 * Yields runs [first, end) of the wanted ones of `count` clusters, in order. Each begins at a multiple of its length, which is a power of
 * two; together with its source it takes about 2 MiB at most. `isWanted` is called for a cluster before the run with it is yielded, and at
 * most once after that.
 */
export function* roundsOf(
  count: number,
  clusterSize: number,
  isWanted: (cluster: number) => boolean,
): Generator<readonly [first: number, end: number], void> {
  const most = Math.max(1, ROUND_BYTES / clusterSize);
  for (let first = 0; first < count; ) {
    if (!isWanted(first)) {
      first++;
      continue;
    }
    const end = alignedEnd(first, count, most, isWanted);
    yield [first, end];
    first = end;
  }
}
