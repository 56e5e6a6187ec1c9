// Chunks to write: how structures are cut into parts, and padded.
import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import type { FileChunk } from "../ports/file-image.ts";

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
