import { alignUp, fileOffset } from "../layout/numbers.ts";
import { MAX_FILE_OFFSET } from "../limits.ts";
import type { Extent } from "../maps/cluster-owners.ts";
import { hasArea, hasLength, L1Places } from "../maps/l1-places.ts";
import type { FileState } from "../maps/load-maps.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import { type Plan, readEach } from "../ports/plan.ts";
import { L1_ENTRY, L1Area } from "../records/l1.ts";
import type { UsedSpace } from "./used-space.ts";

/** Bytes of L1 areas that are read at once. */
const PIECE = 256 * 1024;

/**
 * Takes every cluster behind `from` that a reference of the file names, whether the file reaches so far or not (spec §5, Files in
 * error): the table, L1 areas of known length, and what the entries of L1 areas name that match their checksum. An area that the
 * file does not hold whole, or that shares a cluster with another, can match once that has changed: all that its bytes could name is
 * taken. What cannot be read names nothing.
 */
export function* useReferenced({ index, mapped }: FileState, from: number, taken: UsedSpace): Plan<void> {
  const { header, table, clusterSize, fileSize, floor } = index;
  const take = (offset: number, length: number): void => {
    const end = alignUp(offset + length, clusterSize);
    if (end <= from || end > MAX_FILE_OFFSET) return;
    const start = offset - (offset % clusterSize);
    // One that is misaligned lies in two clusters.
    if (length > clusterSize) taken.add({ offset: start, length: end - start });
    else
      for (let cluster = start; cluster < end; cluster += clusterSize)
        taken.add({ offset: cluster, length: clusterSize });
  };
  if (table.bytes.length > 0) take(fileOffset(header.bitmapsOffset), table.bytes.length);
  const places = new L1Places(index, table.entries);
  const doubtful: Extent[] = [];
  for (const [position, { entry, map, area = map }] of mapped.entries()) {
    if (hasLength(entry, index)) {
      const { offset, length } = l1Reference(entry, index);
      take(offset, length);
      const isWhole = area !== undefined || !hasArea(entry, index) || places.isAlone(position);
      if (!isWhole && offset >= floor && offset < fileSize)
        doubtful.push({ offset, length: Math.min(length, fileSize - offset) });
    }
    for (let cluster = 0; cluster < (area?.count ?? 0); cluster++) {
      const offset = area?.area.offset(cluster) ?? 0;
      if (offset !== 0) take(offset, clusterSize);
    }
  }
  yield* takeWords(doubtful, (offset) => take(offset, clusterSize));
}

/** Reads runs of a file, each byte once, and gives the offset in each word as if it were an L1 entry. */
function* takeWords(runs: Extent[], take: (offset: number) => void): Plan<void> {
  runs.sort((a, b) => a.offset - b.offset);
  let done = 0;
  for (const { offset, length } of runs) {
    const end = offset + length;
    for (let at = Math.max(offset, done); at < end; at += PIECE) {
      const [bytes] = yield* readEach([{ offset: at, length: Math.min(PIECE, end - at) }]);
      if (!(bytes instanceof Uint8Array)) continue;
      // The file may end inside a word: what is missing would read as zeros once the file is longer.
      const words = new Uint8Array(alignUp(bytes.length, L1_ENTRY.size));
      words.set(bytes);
      const area = new L1Area(words, words.length / L1_ENTRY.size, "draft");
      for (let word = 0; word < area.count; word++) if (area.offset(word) !== 0) take(area.offset(word));
    }
    done = Math.max(done, end);
  }
}
