// Stored clusters looked at one by one: for check and repair, which go on where a reader stops.
import { isQdbError, type QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import { type Plan, read, readEach } from "../ports/plan.ts";
import type { ClusterMap } from "./cluster-map.ts";
import type { Window } from "./cluster-windows.ts";

/** The stored clusters of a window, each with its bytes or the error of reading them. */
export function* readClusters(
  map: ClusterMap,
  window: Window,
): Plan<Iterable<readonly [cluster: number, bytes: Uint8Array | QdbError]>> {
  try {
    return window.stored(yield* read(window.ranges));
  } catch (error) {
    if (!isQdbError(error, "IO", "SHORT_READ")) throw error;
  }
  const clusters = window.storedClusters();
  const pieces = yield* readEach(clusters.map((cluster) => ({ offset: map.offset(cluster), length: map.clusterSize })));
  return clusters.map((cluster, at) => [cluster, pieces[at] ?? new Uint8Array(0)] as const);
}

/** Whether a cluster's bytes are not zero behind the bitmap's last bit. */
export function hasTail(map: ClusterMap, cluster: number, bytes: Uint8Array): boolean {
  const validBits = map.bitCount - cluster * map.clusterSize * 8;
  if (validBits >= bytes.length * 8) return false;
  const whole = Math.floor(validBits / 8);
  return (
    !isZero(bytes.subarray(Math.ceil(validBits / 8))) ||
    (validBits % 8 !== 0 && (bytes[whole] ?? 0) >> (validBits % 8) !== 0)
  );
}
