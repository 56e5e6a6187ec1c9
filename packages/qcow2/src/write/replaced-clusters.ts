import type { StoredBits } from "@qdb/format/container";
import { lowerBound, NumberList } from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import type { BitmapTables } from "../bitmaps/bitmap-tables.ts";
import { OffsetTable } from "../image/offset-table.ts";
import { refcountTableRange } from "../image/refcount-table.ts";
import { FINDING } from "../image/watched-clusters.ts";
import type { EditableImage } from "./editable-image.ts";
import { clustersIn, clustersOf, findingOf } from "./image-clusters.ts";

/** A bitmap of the new directory: where it comes from, and what is written for its bits if they are new. */
export interface ReplacingBitmap {
  readonly from: Qcow2Bitmap | undefined;
  readonly data: StoredBits | undefined;
}

/** Clusters to which nothing refers any more once the new directory is in place. */
export interface ReplacedClusters {
  /** Numbers of clusters that belonged to a bitmap or to the directory alone. */
  readonly free: Float64Array;
  /** How many clusters something else may use: they are not freed. */
  readonly doubtful: number;
}

/**
 * Returns the clusters of bitmaps that were removed or got other bits, without those that their new tables refer to, of the old directory,
 * and of the refcount table if `isTableReplaced`.
 */
export function replacedClusters(
  { header, bitmaps, owners, image, directory, named }: EditableImage,
  stored: readonly ReplacingBitmap[],
  isTableReplaced: boolean,
): ReplacedClusters {
  const free = new NumberList();
  let doubtful = 0;
  const add = (cluster: number): void => {
    if (findingOf(owners, cluster) === FINDING.none) free.push(cluster);
    else doubtful++;
  };
  const outputs = new Map(stored.flatMap(({ from, data }) => (from === undefined ? [] : [[from, data] as const])));
  for (const bitmap of bitmaps) {
    const data = outputs.get(bitmap);
    if (data === undefined && outputs.has(bitmap)) continue;
    const kept = data === undefined ? new Float64Array(0) : keptClusters(bitmap, data, owners.tables);
    for (const cluster of clustersOf(bitmap, owners.tables, image))
      if (kept[lowerBound(kept, cluster * image.clusterSize)] !== cluster * image.clusterSize) add(cluster);
  }
  if (directory !== undefined) {
    const range = { offset: directory.offset, length: directory.bytes.length };
    for (const cluster of clustersIn(range, image.clusterSize)) add(cluster);
  }
  if (isTableReplaced) {
    // Neither the guest nor a snapshot refers to these: the image would have been refused.
    for (const cluster of clustersIn(refcountTableRange(header), image.clusterSize)) {
      if (named[lowerBound(named, cluster)] === cluster) doubtful++;
      else free.push(cluster);
    }
  }
  return { free: free.array(), doubtful };
}

/** Returns the file offsets of the data clusters that the new table of a bitmap refers to as the old one does, in ascending order. */
function keptClusters(bitmap: Qcow2Bitmap, { table }: StoredBits, tables: BitmapTables): Float64Array {
  const kept = new NumberList();
  // A bitmap in error keeps no cluster: its bits are not read. Those of one in use can be.
  if (bitmap.storageProblem !== undefined) return kept.array();
  const before = new OffsetTable(tables.bytesOf(bitmap.table));
  const after = new OffsetTable(table);
  for (let entry = 0; entry < Math.min(before.count, after.count); entry++) {
    const offset = before.offset(entry);
    if (offset !== 0 && after.offset(entry) === offset) kept.push(offset);
  }
  return kept.array().sort();
}
