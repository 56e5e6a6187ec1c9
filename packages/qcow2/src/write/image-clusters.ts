import type { ByteRange } from "@qdb/format";
import { byteAt, lowerBound } from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import type { BitmapTables } from "../bitmaps/bitmap-tables.ts";
import type { Owners } from "../bitmaps/judgement.ts";
import { OffsetTable } from "../image/offset-table.ts";
import { FINDING, type FindingKind } from "../image/watched-clusters.ts";

/** Yields the numbers of the clusters that belong to a bitmap: those of its table, and those to which the table refers. */
export function* clustersOf({ table }: Qcow2Bitmap, tables: BitmapTables, image: ImageSize): Generator<number, void> {
  const { clusterSize, fileSize } = image;
  // What does not lie inside the file, or not at a cluster boundary, is no cluster of the bitmap that could be freed.
  if (table.length === 0 || table.offset === 0 || table.offset % clusterSize !== 0) return;
  if (table.offset + table.length > fileSize) return;
  yield* clustersIn(table, clusterSize);
  const entries = new OffsetTable(tables.bytesOf(table));
  for (let entry = 0; entry < entries.count; entry++) {
    const offset = entries.offset(entry);
    if (offset === 0 || entries.hasReservedBits(entry) || offset % clusterSize !== 0) continue;
    if (offset + clusterSize <= fileSize) yield offset / clusterSize;
  }
}

/** Yields the numbers of the clusters of a range that begins at a cluster boundary. */
export function* clustersIn({ offset, length }: ByteRange, clusterSize: number): Generator<number, void> {
  for (let at = offset; at < offset + length; at += clusterSize) yield at / clusterSize;
}

/** The sizes of an image that tell which clusters are in the file. All in bytes. */
export interface ImageSize {
  readonly clusterSize: number;
  readonly fileSize: number;
}

/** Returns the finding about a cluster by its number. */
export function findingOf({ found }: Owners, cluster: number): FindingKind {
  const at = lowerBound(found.clusters, cluster);
  return found.clusters[at] === cluster ? (byteAt(found.findings, at) as FindingKind) : FINDING.none;
}
