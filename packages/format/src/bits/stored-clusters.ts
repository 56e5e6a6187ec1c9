// Reads stored clusters for check and repair, which continue after a cluster that cannot be read.

import { byteAt } from "../elements.ts";
import { isQdbError, type QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import { type Pieces, type Plan, pieceAt, read, readEach } from "../ports/plan.ts";
import type { ClusterMap } from "./cluster-map.ts";
import type { Window } from "./cluster-windows.ts";
import type { Scratch } from "./scratch.ts";

/** Yields each stored cluster of a window with its bytes, which are not verified. `pieces` has the bytes of each of its ranges. */
export function* storedIn(
  map: ClusterMap,
  window: Window,
  pieces: readonly Uint8Array[],
): Generator<readonly [cluster: number, bytes: Uint8Array], void> {
  const { clusterSize } = map;
  let range = 0;
  let at = 0;
  for (let cluster = window.first; cluster < window.end; cluster++) {
    if (map.kind(cluster) !== "data") continue;
    const piece = window.pieceOf(pieces, range);
    yield [cluster, piece.subarray(at, at + clusterSize)];
    at += clusterSize;
    if (at < piece.length) continue;
    range++;
    at = 0;
  }
}

/** Reads the ranges of a window. Returns undefined if they cannot be read; {@link readEachCluster} finds out which. */
export function* tryReadWindow(window: Window, scratch: Scratch): Plan<Pieces | undefined> {
  try {
    return yield* read(scratch.ranges(window.ranges));
  } catch (error) {
    if (isQdbError(error, "IO", "SHORT_READ")) return undefined;
    throw error;
  }
}

/** Reads the stored clusters of a window one by one. Returns each one with its bytes, or with the error of reading the bytes. */
export function* readEachCluster(
  map: ClusterMap,
  window: Window,
): Plan<readonly (readonly [cluster: number, bytes: Uint8Array | QdbError])[]> {
  const clusters: number[] = [];
  for (let cluster = window.first; cluster < window.end; cluster++)
    if (map.kind(cluster) === "data") clusters.push(cluster);
  const pieces = yield* readEach(clusters.map((cluster) => ({ offset: map.offset(cluster), length: map.clusterSize })));
  return clusters.map((cluster, at) => [cluster, clusterOf(pieceAt(pieces, at), map.clusterSize)] as const);
}

/**
 * Reads the stored clusters of a window. Returns each one with its bytes, which are not verified and are valid as long as those of the
 * scratch, or with the error of reading the bytes.
 */
export function* readClusters(
  map: ClusterMap,
  window: Window,
  scratch: Scratch,
): Plan<Iterable<readonly [cluster: number, bytes: Uint8Array | QdbError]>> {
  const pieces = yield* tryReadWindow(window, scratch);
  return pieces === undefined ? yield* readEachCluster(map, window) : storedIn(map, window, pieces);
}

/**
 * Returns a piece that is a whole cluster or a read error.
 * @throws {Error} if the driver returned more or fewer bytes than a cluster has
 */
function clusterOf(piece: Uint8Array | QdbError, clusterSize: number): Uint8Array | QdbError {
  if (!(piece instanceof Uint8Array) || piece.length === clusterSize) return piece;
  throw new Error(`a cluster of ${clusterSize} bytes was answered with ${piece.length} bytes`);
}

/** Whether a cluster has bits past the last bit of the bitmap that are not zero. */
export function hasTail(map: ClusterMap, cluster: number, bytes: Uint8Array): boolean {
  // Only the last cluster reaches past the last bit. The others return here, since `bitCount` is decoded from the table entry each time.
  if (cluster < map.count - 1) return false;
  const validBits = map.bitCount - cluster * map.clusterSize * 8;
  if (validBits >= bytes.length * 8) return false;
  if (!isZero(bytes.subarray(Math.ceil(validBits / 8)))) return true;
  return validBits % 8 !== 0 && byteAt(bytes, Math.floor(validBits / 8)) >> (validBits % 8) !== 0;
}
