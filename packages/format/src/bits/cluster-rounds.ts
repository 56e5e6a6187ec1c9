import type { ClusterBits } from "./cluster-bits.ts";

/** Maximum number of bytes of clusters that a round reads, of a bitmap and of its source together. */
const ROUND_BYTES = 4 * 1024 * 1024;

/** A cluster of which something has to be read: the bits of the bitmap itself, those of its source, or both. */
export interface ClusterNeed {
  readonly cluster: number;
  readonly target: boolean;
  readonly source: boolean;
}

/** Yields the clusters of which something has to be read, in rounds. `needOf` returns undefined for all others. */
export function* roundsOf(
  bits: ClusterBits,
  needOf: (cluster: number) => ClusterNeed | undefined,
): Generator<readonly ClusterNeed[], void> {
  let round: ClusterNeed[] = [];
  for (let cluster = 0; cluster < bits.count; cluster++) {
    const need = needOf(cluster);
    if (need === undefined) continue;
    round.push(need);
    if (round.length * bits.clusterSize * 2 < ROUND_BYTES) continue;
    yield round;
    round = [];
  }
  if (round.length > 0) yield round;
}
