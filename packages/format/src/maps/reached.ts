import { alignUp, fileOffset } from "../layout/numbers.ts";
import { HEADER_AREA_SIZE } from "../limits.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Extent } from "./cluster-owners.ts";
import type { MappedBitmap } from "./load-maps.ts";

/** Space is taken and freed in aligned blocks of this many bytes: no sector is shared between what is committed and what is being written. */
export const BLOCK = HEADER_AREA_SIZE;

/** Everything that a generation reaches: header, mirror, table, L1 areas, data clusters, preallocated ones too. */
export function* reached(index: QdbIndex, mapped: readonly MappedBitmap[]): Generator<Extent, void> {
  yield { offset: 0, length: index.floor };
  if (index.table.bytes.length > 0) {
    yield { offset: fileOffset(index.header.bitmapsOffset), length: index.table.bytes.length };
  }
  for (const { entry, map } of mapped) {
    if (map === undefined || map.count === 0) continue;
    yield { offset: map.areaOffset, length: l1Reference(entry, index).length };
    for (let cluster = 0; cluster < map.count; cluster++) {
      const offset = map.area.offset(cluster);
      if (offset !== 0) yield { offset, length: index.clusterSize };
    }
  }
}

/**
 * File offset behind everything that is reached, where the file may be cut: a multiple of 4096 and of the cluster size, so that the
 * cut leaves no block whose end the file system has to clear beside committed bytes. What lies behind belongs to nothing.
 */
export function endOfUse(index: QdbIndex, mapped: readonly MappedBitmap[]): number {
  let end = index.floor;
  for (const { offset, length } of reached(index, mapped)) end = Math.max(end, offset + length);
  return alignUp(end, unitOf(index));
}

/**
 * Whether every bitmap was read good: its L1 area, whose place no other structure shares, and all its entries. Where one was not, it may
 * own anything (spec §5, Files in error).
 */
export function allMapped(mapped: readonly MappedBitmap[]): boolean {
  return mapped.every(({ map }) => map !== undefined);
}

/** What free space begins and ends at. */
export function unitOf({ clusterSize }: QdbIndex): number {
  return Math.max(BLOCK, clusterSize);
}
