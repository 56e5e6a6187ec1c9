import type { ClusterMap } from "../bits/cluster-map.ts";
import { type Window, windows } from "../bits/cluster-windows.ts";
import type { Scratch } from "../bits/scratch.ts";
import { hasTail, readEachCluster, storedIn, tryReadWindow } from "../bits/stored-clusters.ts";
import { isQdbError, QdbError } from "../errors.ts";
import { type Pieces, type Plan, put } from "../ports/plan.ts";
import { type Finding, finding, findingOf } from "./findings.ts";

/** A window ends when its stored clusters have this many bytes. */
const WINDOW_BYTES = 1024 * 1024;

/**
 * Checks the stored clusters of a bitmap: that they can be read, match their checksums if there are any, and are zero past the last bit of
 * the bitmap. Each finding says whether a repair of a QDB file can remove it.
 */
export function* checkData(map: ClusterMap, scratch: Scratch, progress: (bits: number) => void): Plan<void, Finding> {
  for (const window of windows(map, undefined, WINDOW_BYTES)) {
    const pieces = yield* tryReadWindow(window, scratch);
    if (pieces === undefined || !isSound(map, window, pieces)) {
      // Cluster by cluster, which takes longer.
      const clusters = pieces === undefined ? yield* readEachCluster(map, window) : storedIn(map, window, pieces);
      for (const [cluster, bytes] of clusters) {
        const found = findInCluster(map, cluster, bytes);
        if (found !== undefined) yield* put(found);
      }
    }
    progress(window.endBit);
  }
}

/** Whether all clusters of a window match their checksums, and none can have bits past the last bit of the bitmap. */
function isSound(map: ClusterMap, window: Window, pieces: Pieces): boolean {
  if (window.end * map.clusterSize * 8 > map.bitCount) return false;
  try {
    for (const _ of window.bits(pieces));
    return true;
  } catch (error) {
    if (isQdbError(error, "BAD_CHECKSUM")) return false;
    throw error;
  }
}

function findInCluster(map: ClusterMap, cluster: number, bytes: Uint8Array | QdbError): Finding | undefined {
  if (!(bytes instanceof QdbError)) {
    const problem = map.verify(cluster, bytes);
    if (problem !== undefined) return findingOf(problem, true);
    if (!hasTail(map, cluster, bytes)) return undefined;
  }
  const where = { structure: "data cluster", offset: map.offset(cluster), bitmap: map.label };
  if (bytes instanceof QdbError)
    return findingOf({ code: bytes.code, message: `the data cluster cannot be read: ${bytes.message}`, where }, true);
  return finding("TAIL", "noncanonical", "the data cluster is not zero after the bitmap's last bit", where);
}
