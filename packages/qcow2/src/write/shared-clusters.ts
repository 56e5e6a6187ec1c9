// Which bitmaps a commit has to make all dirty, because a cluster of theirs is shared and would look as theirs alone afterwards.
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import { FINDING, findingIn } from "../image/watched-clusters.ts";
import type { EditableImage } from "./editable-image.ts";
import { clustersOf, findingOf } from "./image-clusters.ts";

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
