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

/** Number of bytes of an L1 area that are read at once. */
const READ_BYTES = 256 * 1024;

/**
 * Adds to `used` every cluster from file offset `from` on that a reference names, even if the file does not reach that far (spec §5, Files
 * in error). References are the offset of the table, the offset of every L1 area of known length, and the offsets in L1 entries.
 *
 * An L1 area that runs past the end of the file, or that shares a cluster with another structure, can match its checksum after a later
 * change. So all its bytes are interpreted as entries, checksums included: that can only make less space free. Bytes that cannot be read
 * name nothing.
 */
export function* addReferencedSpace({ index, mapped }: FileState, from: number, used: UsedSpace): Plan<void> {
  const { header, table, clusterSize, fileSize, floor } = index;
  const add = (offset: number, length: number): void => {
    const end = alignUp(offset + length, clusterSize);
    if (end <= from || end > MAX_FILE_OFFSET) return;
    const start = offset - (offset % clusterSize);
    if (length > clusterSize) used.add({ offset: start, length: end - start });
    // This visits two clusters if the offset is misaligned.
    else
      for (let cluster = start; cluster < end; cluster += clusterSize)
        used.add({ offset: cluster, length: clusterSize });
  };
  if (table.bytes.length > 0) add(fileOffset(header.bitmapsOffset), table.bytes.length);
  const unread: ByteRange[] = [];
  for (const { entry, area, faultKind } of mapped) {
    if (hasLength(entry, index)) {
      const { offset, length } = l1Reference(entry, index);
      add(offset, length);
      const isNotRead = faultKind === "outside" || faultKind === "shared";
      if (isNotRead && offset >= floor && offset < fileSize)
        unread.push({ offset, length: Math.min(length, fileSize - offset) });
    }
    if (area === undefined) continue;
    for (let cluster = 0; cluster < area.count; cluster++) {
      const offset = area.offset(cluster);
      if (offset !== 0) add(offset, clusterSize);
    }
  }
  yield* readOffsets(unread, (offset) => add(offset, clusterSize));
}

/** Reads ranges of a file, each byte once, and passes the offset field of every 8-byte word to `visit`, as if the word were an L1 entry. */
function* readOffsets(ranges: ByteRange[], visit: (offset: number) => void): Plan<void> {
  ranges.sort((a, b) => a.offset - b.offset);
  let done = 0;
  for (const { offset, length } of ranges) {
    const end = offset + length;
    for (let at = Math.max(offset, done); at < end; at += READ_BYTES) {
      const bytes = yield* tryReadRange(at, Math.min(READ_BYTES, end - at));
      if (!(bytes instanceof Uint8Array)) continue;
      // The file may end inside a word. When the file becomes longer, the missing bytes read as zeros.
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
