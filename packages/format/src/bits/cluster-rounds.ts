import type { ClusterBits } from "./cluster-bits.ts";

/** Maximum number of bytes of clusters that a round reads, of a bitmap and of its source together. */
const ROUND_BYTES = 4 * 1024 * 1024;

/**
 * Yields what has to be read, in rounds. `needOf` says what a cluster needs; undefined if nothing of it or of its source has to be read.
 * The clusters of a round are looked at before the round is read.
 */
export function* roundsOf<N>(
  bits: ClusterBits,
  needOf: (cluster: number) => N | undefined,
): Generator<readonly N[], void> {
  let round: N[] = [];
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
