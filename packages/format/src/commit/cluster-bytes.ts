import { byteAt } from "../elements.ts";
import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import type { FileChunk } from "../ports/file-image.ts";

/** A copy of a cluster's bytes in which only the first `bitCount` bits are kept; those behind are zero. */
export function trimmed(bytes: Uint8Array, bitCount: number): Uint8Array {
  const whole = Math.floor(bitCount / 8);
  const result = new Uint8Array(bytes.length);
  result.set(bytes.subarray(0, whole));
  if (bitCount % 8 !== 0) result[whole] = byteAt(bytes, whole) & ((1 << (bitCount % 8)) - 1);
  return result;
}

/** A cluster whose first `bitCount` bits are ones and whose others are zeros. */
export function onesCluster(clusterSize: number, bitCount = clusterSize * 8): Uint8Array {
  return trimmed(new Uint8Array(clusterSize).fill(0xff), bitCount);
}

/** A chunk, padded with zeros to whole clusters: a file ends at the end of a cluster. */
export function padToCluster({ offset, bytes }: FileChunk, clusterSize: number): FileChunk {
  if (bytes.length % clusterSize === 0) return { offset, bytes };
  const padded = new Uint8Array(alignUp(bytes.length, clusterSize));
  padded.set(bytes);
  return { offset, bytes: padded };
}

/**
 * Consecutive pieces of a structure as chunks, from `start` on. The last one is padded with zeros to the end of its cluster, or of its
 * block of 4096 bytes if that comes first, so that no old bytes remain there.
 */
export function* chunksOf(
  pieces: Iterable<Uint8Array>,
  start: number,
  clusterSize: number,
): Generator<FileChunk, void> {
  let offset = start;
  let last: Uint8Array | undefined;
  for (const piece of pieces) {
    if (last !== undefined) {
      yield { offset, bytes: last };
      offset += last.length;
    }
    last = piece;
  }
  if (last === undefined) return;
  const bytes = new Uint8Array(alignUp(offset + last.length, Math.min(clusterSize, BLOCK)) - offset);
  bytes.set(last);
  yield { offset, bytes };
}
