import { viewOf } from "../layout/fields.ts";
import { alignUp, fileOffset } from "../layout/numbers.ts";
import { MAX_FILE_OFFSET } from "../limits.ts";
import { hasLength } from "../maps/l1-ranges.ts";
import type { FileState } from "../maps/load-maps.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import { type Plan, tryReadRange } from "../ports/plan.ts";
import type { ByteRange } from "../ports/source.ts";
import { L1_ENTRY, l1Offset } from "../records/l1.ts";
import type { UsedSpace } from "./used-space.ts";

/** Bytes of an L1 area that are read at once. */
const PIECE = 256 * 1024;

/**
 * Adds to `used` every cluster behind file offset `from` that a reference of the file names, even past the end of the file (spec §5,
 * Files in error). These are the table, every L1 area of known length, and the clusters that the entries of L1 areas name. An L1 area
 * that runs past the end of the file, or shares a cluster with another structure, may match its checksum after a later change, so that
 * all its bytes are taken for entries. Bytes that cannot be read name nothing.
 */
export function* addReferencedSpace({ index, mapped }: FileState, from: number, used: UsedSpace): Plan<void> {
  const { header, table, clusterSize, fileSize, floor } = index;
  const add = (offset: number, length: number): void => {
    const end = alignUp(offset + length, clusterSize);
    if (end <= from || end > MAX_FILE_OFFSET) return;
    const start = offset - (offset % clusterSize);
    if (length > clusterSize) used.add({ offset: start, length: end - start });
    // Two clusters, if the offset is misaligned.
    else
      for (let cluster = start; cluster < end; cluster += clusterSize)
        used.add({ offset: cluster, length: clusterSize });
  };
  if (table.bytes.length > 0) add(fileOffset(header.bitmapsOffset), table.bytes.length);
  const doubtful: ByteRange[] = [];
  for (const { entry, area, faultKind } of mapped) {
    if (hasLength(entry, index)) {
      const { offset, length } = l1Reference(entry, index);
      add(offset, length);
      const isNotRead = faultKind === "outside" || faultKind === "shared";
      if (isNotRead && offset >= floor && offset < fileSize)
        doubtful.push({ offset, length: Math.min(length, fileSize - offset) });
    }
    if (area === undefined) continue;
    for (let cluster = 0; cluster < area.count; cluster++) {
      const offset = area.offset(cluster);
      if (offset !== 0) add(offset, clusterSize);
    }
  }
  yield* readOffsets(doubtful, (offset) => add(offset, clusterSize));
}

/** Reads ranges of a file, each byte once, and visits the offset in each 8-byte word, taken for an L1 entry. */
function* readOffsets(ranges: ByteRange[], visit: (offset: number) => void): Plan<void> {
  ranges.sort((a, b) => a.offset - b.offset);
  let done = 0;
  for (const { offset, length } of ranges) {
    const end = offset + length;
    for (let at = Math.max(offset, done); at < end; at += PIECE) {
      const bytes = yield* tryReadRange(at, Math.min(PIECE, end - at));
      if (!(bytes instanceof Uint8Array)) continue;
      // The file may end inside a word. When it grows, the missing bytes read as zeros.
      const words = new Uint8Array(alignUp(bytes.length, L1_ENTRY.size));
      words.set(bytes);
      const view = viewOf(words);
      for (let word = 0; word < words.length; word += L1_ENTRY.size) {
        const named = l1Offset(view, word);
        if (named !== 0) visit(named);
      }
    }
    done = Math.max(done, end);
  }
}
