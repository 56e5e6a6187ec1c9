import { byteAt } from "../elements.ts";
import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import type { FileChunk } from "../ports/file-image.ts";

/** Returns a copy of the bytes of a cluster that keeps the first `bitCount` bits; all bits after them are zero. */
export function trimmed(bytes: Uint8Array, bitCount: number): Uint8Array {
  const whole = Math.floor(bitCount / 8);
  const result = new Uint8Array(bytes.length);
  result.set(bytes.subarray(0, whole));
  if (bitCount % 8 !== 0) result[whole] = byteAt(bytes, whole) & ((1 << (bitCount % 8)) - 1);
  return result;
}

/** Returns a cluster whose first `bitCount` bits are ones; all bits after them are zero. */
export function onesCluster(clusterSize: number, bitCount = clusterSize * 8): Uint8Array {
  return trimmed(new Uint8Array(clusterSize).fill(0xff), bitCount);
}

/** Pads a chunk with zeros to a whole number of clusters, because a file must end at a cluster boundary. */
export function padToCluster({ offset, bytes }: FileChunk, clusterSize: number): FileChunk {
  if (bytes.length % clusterSize === 0) return { offset, bytes };
  const padded = new Uint8Array(alignUp(bytes.length, clusterSize));
  padded.set(bytes);
  return { offset, bytes: padded };
}

/**
 * Yields consecutive parts of a structure as chunks, the first one at file offset `start`. The last part is padded with zeros to the end of
 * its cluster or of its block of 4096 bytes, whichever comes first, so that no old bytes remain after it in the block.
 */
export function* chunksOf(parts: Iterable<Uint8Array>, start: number, clusterSize: number): Generator<FileChunk, void> {
  let offset = start;
  let last: Uint8Array | undefined;
  for (const part of parts) {
    if (last !== undefined) {
      yield { offset, bytes: last };
      offset += last.length;
    }
    last = part;
  }
  if (last === undefined) return;
  const bytes = new Uint8Array(alignUp(offset + last.length, Math.min(clusterSize, BLOCK)) - offset);
  bytes.set(last);
  yield { offset, bytes };
}
