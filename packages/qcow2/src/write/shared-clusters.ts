// Which bitmaps a commit has to make all dirty, because a cluster of theirs is shared and would look as theirs alone afterwards.
import type { ByteRange } from "@qdb/format";
import { byteAt, lowerBound } from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmap.ts";
import type { BitmapTables } from "../bitmap-tables.ts";
import type { Owners } from "../judgement.ts";
import { OffsetTable } from "../offset-table.ts";
import { FINDING, type FindingKind, findingIn } from "../watched-clusters.ts";
import type { EditableImage } from "./editable-image.ts";

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

/**
 * Returns the bitmaps that become all dirty when the bitmaps in `replaced` lose their clusters. A cluster that two bitmaps share has the bits
 * of one of them, nobody knows of which. Once the other one has left it, nothing shows that. When the directory shares a cluster, no
 * bitmap can be believed, and a new directory would hide it.
 */
export function bitmapsInDoubt(
  { bitmaps, owners, image, directory }: EditableImage,
  replaced: ReadonlySet<Qcow2Bitmap>,
): ReadonlySet<Qcow2Bitmap> {
  if (directory === undefined || replaced.size === bitmaps.length) return new Set();
  const range = { offset: directory.offset, length: directory.bytes.length };
  if (findingIn(owners.found, range, image.clusterSize) !== undefined)
    return new Set(bitmaps.filter((bitmap) => !replaced.has(bitmap)));
  if (!owners.found.findings.includes(FINDING.sharedByBitmaps)) return new Set();
  const sharing = new Map<number, Qcow2Bitmap[]>();
  for (const bitmap of bitmaps) {
    for (const cluster of clustersOf(bitmap, owners.tables, image)) {
      if (findingOf(owners, cluster) !== FINDING.sharedByBitmaps) continue;
      const others = sharing.get(cluster);
      if (others === undefined) sharing.set(cluster, [bitmap]);
      else others.push(bitmap);
    }
  }
  const doubted = new Set<Qcow2Bitmap>();
  // A bitmap that becomes all dirty leaves its clusters too, so that those with which it shares one are in doubt as well.
  for (let before = -1; before !== doubted.size; ) {
    before = doubted.size;
    for (const bitmapsOfCluster of sharing.values()) {
      if (!bitmapsOfCluster.some((bitmap) => replaced.has(bitmap) || doubted.has(bitmap))) continue;
      for (const bitmap of bitmapsOfCluster) if (!replaced.has(bitmap)) doubted.add(bitmap);
    }
  }
  return doubted;
}
