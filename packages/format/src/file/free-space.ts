import { alignUp, fileOffset } from "../layout/numbers.ts";
import { HEADER_AREA_SIZE } from "../limits.ts";
import type { MappedBitmap } from "./maps.ts";
import type { Extent } from "./ownership.ts";
import type { QdbIndex } from "./qdb-index.ts";
import { l1Reference } from "./table.ts";

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

/** File offset behind everything that is reached, whole clusters; what lies behind belongs to nothing. */
export function endOfUse(index: QdbIndex, mapped: readonly MappedBitmap[]): number {
  let end = index.floor;
  for (const { offset, length } of reached(index, mapped))
    end = Math.max(end, alignUp(offset + length, index.clusterSize));
  return end;
}

/** Whether the place of every structure is known: an L1 area that was not read good may own anything (spec §5, Files in error). */
export function allMapped(mapped: readonly MappedBitmap[]): boolean {
  return mapped.every(({ map }) => map !== undefined);
}

/** Free space of a file: blocks that nothing reaches, and all behind its end. Nothing is given twice. */
export class FreeSpace {
  /** Free extents, ascending; the last one has no end. */
  readonly #free: { start: number; end: number }[] = [];
  /** For each length asked for: extents before this one are too small for it, since they only shrink. */
  readonly #cursors = new Map<number, number>();
  readonly #align: number;

  /** `fileSize` is the file's length in bytes; where a place is unknown, only what lies behind it is free. */
  constructor(index: QdbIndex, mapped: readonly MappedBitmap[], fileSize: number) {
    this.#align = index.clusterSize;
    let end = 0;
    if (allMapped(mapped)) {
      const used = [...reached(index, mapped)].sort((a, b) => a.offset - b.offset);
      for (const { offset, length } of used) {
        const start = Math.floor(offset / BLOCK) * BLOCK;
        if (start > end) this.#free.push({ start: end, end: start });
        end = Math.max(end, alignUp(offset + length, BLOCK));
      }
    } else {
      end = alignUp(Math.max(fileSize, endOfUse(index, mapped)), BLOCK);
    }
    this.#free.push({ start: end, end: Number.POSITIVE_INFINITY });
  }

  /** Takes so many bytes, whole clusters, at the lowest place that has them in one piece. */
  allocate(length: number): number {
    const needed = alignUp(length, this.#align);
    let at = this.#cursors.get(needed) ?? 0;
    for (; at < this.#free.length; at++) {
      const extent = this.#free[at];
      if (extent === undefined) continue;
      const offset = alignUp(extent.start, this.#align);
      if (offset + needed > extent.end) continue;
      extent.start = offset + needed;
      this.#cursors.set(needed, at);
      return offset;
    }
    throw new Error("the space behind the end of a file has no end");
  }
}
