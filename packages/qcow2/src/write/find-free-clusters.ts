// Finds clusters that a commit may write: their refcount is 0. Whether nothing refers to them is checked with the owners.
import type { Plan } from "@qdb/format/container";
import { lowerBound, NumberList, numberAt, viewOf } from "@qdb/format/internal";
import { getRefcount, type RefcountGeometry } from "../image/refcount-table.ts";
import type { StructureReader } from "../image/structure-reader.ts";

/** The refcounts of an image. */
export interface RefcountBlocks {
  readonly geometry: RefcountGeometry;
  /** File offset of each refcount block in bytes; 0 if there is none, and all of its refcounts are 0. */
  readonly offsets: Float64Array;
}

/**
 * Returns the numbers of the first `most` clusters before cluster `limit` that have the refcount 0, but for those in `named`, which is in
 * ascending order.
 * @throws {QdbError} OUT_OF_BOUNDS for a refcount block past the end of the file; OVERLAP as {@link StructureReader}
 */
export function* findFreeClusters(
  { geometry, offsets }: RefcountBlocks,
  limit: number,
  most: number,
  named: Float64Array,
  reader: StructureReader,
): Plan<Float64Array> {
  const { perBlock, order } = geometry;
  const free = new NumberList();
  let count = 0;
  const add = (cluster: number): void => {
    if (count === most || named[lowerBound(named, cluster)] === cluster) return;
    free.push(cluster);
    count++;
  };
  for (let block = 0; block * perBlock < limit && count < most; block++) {
    const first = block * perBlock;
    const end = Math.min(first + perBlock, limit);
    const offset = offsets[block] ?? 0;
    if (offset === 0) {
      for (let cluster = first; cluster < end && count < most; cluster++) add(cluster);
      continue;
    }
    yield* readBlock(geometry, block, offset, reader, (view) => {
      for (let cluster = first; cluster < end; cluster++)
        if (getRefcount(view, cluster - first, order) === 0) add(cluster);
    });
  }
  return free.array();
}

/**
 * Returns the number of the cluster after the last one that has a refcount other than 0; at least `from`.
 * @throws {QdbError} as {@link findFreeClusters}
 */
export function* findEndOfCounted(
  { geometry, offsets }: RefcountBlocks,
  from: number,
  reader: StructureReader,
): Plan<number> {
  const { perBlock, order } = geometry;
  let result = from;
  for (let block = offsets.length - 1; (block + 1) * perBlock > from && block >= 0 && result === from; block--) {
    const offset = numberAt(offsets, block);
    if (offset === 0) continue;
    yield* readBlock(geometry, block, offset, reader, (view) => {
      let entry = perBlock - 1;
      while (entry >= 0 && block * perBlock + entry >= from && getRefcount(view, entry, order) === 0) entry--;
      result = Math.max(from, block * perBlock + entry + 1);
    });
  }
  return result;
}

function readBlock(
  { clusterSize }: RefcountGeometry,
  block: number,
  offset: number,
  reader: StructureReader,
  visit: (view: DataView) => void,
): Plan<void> {
  const range = { offset, length: clusterSize };
  const where = { structure: "refcount block", offset };
  reader.requireInside({ ...range, what: `refcount block ${block}`, where });
  return reader.readEach([range], (bytes) => visit(viewOf(bytes)));
}
