import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type ChangePlan, readRange, write } from "../ports/plan.ts";
import type { BitmapWrites } from "./bitmap-writes.ts";
import { padToCluster } from "./chunks.ts";
import { copiedBytes } from "./cluster-repair.ts";
import type { NextGeneration } from "./next-generation.ts";

/** The state of the file that the writes of a commit need. */
interface FileContext {
  /** Cluster size in bytes. */
  readonly clusterSize: number;
  /** Length of the file in bytes, before the commit. */
  readonly sizeBefore: number;
  /** Length of the file in bytes now: the commit has written clusters. */
  readonly fileSize: number;
  /** Lowest file offset of a structure other than header and mirror. */
  readonly floor: number;
  readonly crc32: Crc32;
}

/**
 * Writes data clusters, L1 areas and table of the next generation into free space; the header area is not written here. Returns the length
 * of the file afterwards, in bytes.
 */
export function* writeIntoFreeSpace(
  writes: readonly BitmapWrites[],
  { table, tableOffset }: NextGeneration,
  { clusterSize, sizeBefore, fileSize, floor, crc32 }: FileContext,
): ChangePlan<number> {
  let end = Math.max(fileSize, floor);
  const store = function* (chunk: FileChunk): ChangePlan<void> {
    end = Math.max(end, chunk.offset + chunk.bytes.length);
    yield* write([chunk]);
  };
  for (const bitmap of writes) {
    for (const chunk of bitmap.chunks()) yield* store(chunk);
    for (const copy of bitmap.copies) {
      const bytes = yield* readRange(copy.from, clusterSize);
      yield* store({ offset: copy.to, bytes: copiedBytes(bytes, copy, crc32) });
    }
  }
  if (tableOffset > 0) yield* store(padToCluster({ offset: tableOffset, bytes: table }, clusterSize));
  // When a file becomes longer later, a file system may rewrite the block in which the file ended before. A file that ends at a block
  // boundary has no committed bytes in such a block.
  if (end > sizeBefore && end % BLOCK !== 0)
    yield* store({ offset: end, bytes: new Uint8Array(alignUp(end, BLOCK) - end) });
  return end;
}
