import { alignUp } from "../layout/numbers.ts";
import { BLOCK } from "../maps/generation-space.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type ChangePlan, readRange, write } from "../ports/plan.ts";
import type { BitmapWrites } from "./bitmap-writes.ts";
import { padToCluster } from "./cluster-bytes.ts";
import { copiedBytes } from "./cluster-repair.ts";
import type { NextGeneration } from "./next-generation.ts";

/** What the writes of a commit depend on. */
interface FileContext {
  /** Bytes of a cluster. */
  readonly clusterSize: number;
  /** Length of the file in bytes. */
  readonly fileSize: number;
  /** First file offset that a structure other than header and mirror may have. */
  readonly floor: number;
  readonly crc32: Crc32;
}

/**
 * Writes everything of the next generation but its header into free space: data clusters, L1 areas, table. Returns the length of the
 * file afterwards, in bytes.
 */
export function* writeIntoFreeSpace(
  writes: readonly BitmapWrites[],
  { table, tableOffset }: NextGeneration,
  { clusterSize, fileSize, floor, crc32 }: FileContext,
): ChangePlan<number> {
  let end = Math.max(fileSize, floor);
  const store = function* (chunk: FileChunk): ChangePlan<void> {
    end = Math.max(end, chunk.offset + chunk.bytes.length);
    yield* write([chunk]);
  };
  for (const one of writes) {
    for (const chunk of one.chunks()) yield* store(chunk);
    for (const copy of one.copies) {
      const bytes = yield* readRange(copy.from, clusterSize);
      yield* store({ offset: copy.to, bytes: copiedBytes(bytes, copy, crc32) });
    }
  }
  if (tableOffset > 0) yield* store(padToCluster({ offset: tableOffset, bytes: table }, clusterSize));
  // When a file grows later, the file system may write the block again in which it ended. The file ends at the end of a block, so that
  // this block holds no committed bytes.
  if (end > fileSize && end % BLOCK !== 0)
    yield* store({ offset: end, bytes: new Uint8Array(alignUp(end, BLOCK) - end) });
  return end;
}
