import { alignUp, fileOffset } from "../layout/numbers.ts";
import { HEADER_AREA_SIZE } from "../limits.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { ByteRange } from "../ports/source.ts";
import type { MappedBitmap } from "./mapped-bitmap.ts";

/**
 * Space is allocated and freed in aligned blocks of this many bytes, so that committed data and new data never share a sector of the disk.
 */
export const BLOCK = HEADER_AREA_SIZE;

/** Yields the ranges of the file that a generation uses: header, mirror, table, L1 areas and data clusters, preallocated ones included. */
export function* usedRanges(index: QdbIndex, mapped: readonly MappedBitmap[]): Generator<ByteRange, void> {
  yield { offset: 0, length: index.floor };
  if (index.table.bytes.length > 0) {
    yield { offset: fileOffset(index.header.bitmapsOffset), length: index.table.bytes.length };
  }
  for (const { entry, map } of mapped) {
    if (map === undefined || map.count === 0) continue;
    yield { offset: map.areaOffset, length: l1Reference(entry, index).length };
    for (let cluster = 0, end = 0; cluster < map.count; cluster = end) {
      end = map.runEnd(cluster);
      const offset = map.offset(cluster);
      if (offset !== 0) yield { offset, length: (end - cluster) * index.clusterSize };
    }
  }
}

/**
 * Returns the smallest length in bytes to which the file may be cut without losing a range in use. It is a multiple of 4096 and of the
 * cluster size: a cut inside a block would make the file system write that block again, which can hold committed bytes.
 */
export function endOfUse(index: QdbIndex, mapped: readonly MappedBitmap[]): number {
  let end = index.floor;
  for (const { offset, length } of usedRanges(index, mapped)) end = Math.max(end, offset + length);
  return alignUp(end, spaceUnit(index));
}

/** Returns the unit of free space in bytes: free ranges begin and end at multiples of it. */
export function spaceUnit({ clusterSize }: QdbIndex): number {
  return Math.max(BLOCK, clusterSize);
}
