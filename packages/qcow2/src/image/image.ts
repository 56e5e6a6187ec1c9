import type { ByteRange, Problem, Where } from "@qdb/format";
import { shareCluster } from "./cluster-ranges.ts";
import { AUTOCLEAR_BITMAPS, INCOMPATIBLE, type Qcow2Header } from "./header.ts";
import { SNAPSHOT } from "./snapshots.ts";
import { FINDING, type FindingKind } from "./watched-clusters.ts";

/** A range of the file, and the structure whose clusters it covers. */
export interface Owner extends ByteRange {
  /** Name of the structure, for messages. */
  readonly what: string;
  /** The finding to report for a cluster of this range if a bitmap refers to the cluster too. */
  readonly finding: FindingKind;
}

/** What the bitmaps of an image are checked against: sizes in bytes, and the clusters that other structures use. */
export interface Image {
  readonly fileSize: number;
  readonly clusterSize: number;
  readonly virtualSize: bigint;
  /** Why no bitmap of the image can be used, as a message; undefined if there is no such reason. */
  readonly inconsistency: string | undefined;
  /** The structures whose offsets are in the header. */
  readonly owners: readonly Owner[];
}

/** Derives from a header what the bitmaps are checked against. */
export function imageOf(header: Qcow2Header, fileSize: number): Image {
  const clusterSize = 2 ** header.clusterBits;
  const { l1TableOffset, l1Size, refcountTableOffset, refcountTableClusters, snapshotsOffset, nbSnapshots } = header;
  const owner = (what: string, finding: FindingKind, offset: bigint, length: number): Owner => ({
    what,
    finding,
    offset: Number(offset),
    length,
  });
  return {
    fileSize,
    clusterSize,
    virtualSize: header.size,
    inconsistency: inconsistencyOf(header),
    owners: [
      owner("the header's cluster", FINDING.header, 0n, clusterSize),
      owner("the L1 table", FINDING.l1Table, l1TableOffset, l1Size * 8),
      owner("the refcount table", FINDING.refcountTable, refcountTableOffset, refcountTableClusters * clusterSize),
      // The entries have different lengths. This is the minimum length of the table.
      owner("the snapshot table", FINDING.snapshotTable, snapshotsOffset, nbSnapshots * SNAPSHOT.size),
    ],
  };
}

function inconsistencyOf(header: Qcow2Header): string | undefined {
  if ((header.incompatibleFeatures & INCOMPATIBLE.corrupt) !== 0n) {
    return "the image is marked corrupt: its bitmaps cannot be trusted; repair it with qemu-img check -r";
  }
  if ((header.autoclearFeatures & AUTOCLEAR_BITMAPS) === 0n) {
    return "the image was last written by a program that does not keep bitmaps (autoclear bit 0 is clear): they miss what it wrote; remove them, or mark everything dirty";
  }
  return undefined;
}

/**
 * Checks that a range begins at a cluster boundary other than 0 and lies inside the file. `what` names the range in messages. Returns a
 * problem BAD_FIELD (offset 0), MISALIGNED or OUT_OF_BOUNDS; undefined if the range is valid.
 */
export function placeProblem(what: string, range: ByteRange, image: Image, where: Where): Problem | undefined {
  const { offset, length } = range;
  const { clusterSize, fileSize } = image;
  if (offset === 0) return { code: "BAD_FIELD", message: `the offset of ${what} is 0`, where };
  if (offset % clusterSize !== 0) {
    const message = `${what} is at ${offset}, no multiple of the cluster size ${clusterSize}`;
    return { code: "MISALIGNED", message, where };
  }
  if (offset + length <= fileSize) return undefined;
  const message = `${what} of ${length} bytes at ${offset} runs past the end of the file at ${fileSize}`;
  return { code: "OUT_OF_BOUNDS", message, where };
}

/** Returns an OVERLAP problem if a range shares a cluster with a structure whose offset is in the header; undefined if it does not. */
export function overlapProblem(what: string, range: ByteRange, image: Image, where: Where): Problem | undefined {
  const owner = image.owners.find((other) => shareCluster(range, other, image.clusterSize));
  if (owner === undefined) return undefined;
  const message = `${what} at ${range.offset} shares a cluster with ${owner.what} at ${owner.offset}`;
  return { code: "OVERLAP", message, where };
}
