import type { ByteRange, Problem, Where } from "@qdb/format";
import { AUTOCLEAR_BITMAPS, INCOMPATIBLE, type Qcow2Header } from "./header.ts";
import { shareCluster } from "./numbers.ts";

/** A range of the file with the name of the structure that owns its clusters. */
export interface Owner extends ByteRange {
  readonly what: string;
}

/** What the rules of bitmaps depend on: sizes in bytes, and who owns which clusters already. */
export interface Image {
  readonly fileSize: number;
  readonly clusterSize: number;
  readonly virtualSize: bigint;
  /** Why no bitmap of the image can be used; undefined when nothing speaks against them. */
  readonly doubt: string | undefined;
  /** Structures that no bitmap's table and data may share a cluster with. */
  readonly owners: readonly Owner[];
}

/**
 * What a header says of an image. Only owners whose place the header tells by itself are known: first cluster, active L1 table,
 * refcount table, snapshot table. Who owns the rest only `qemu-img check` knows, by the refcounts.
 */
export function imageOf(header: Qcow2Header, fileSize: number): Image {
  const clusterSize = 2 ** header.clusterBits;
  return {
    fileSize,
    clusterSize,
    virtualSize: header.size,
    doubt: doubtOf(header),
    owners: [
      { what: "the header's cluster", offset: 0, length: clusterSize },
      { what: "the L1 table", offset: Number(header.l1TableOffset), length: header.l1Size * 8 },
      {
        what: "the refcount table",
        offset: Number(header.refcountTableOffset),
        length: header.refcountTableClusters * clusterSize,
      },
      // Entries have different lengths; 40 bytes is the least that each takes.
      { what: "the snapshot table", offset: Number(header.snapshotsOffset), length: header.nbSnapshots * 40 },
    ],
  };
}

function doubtOf(header: Qcow2Header): string | undefined {
  if ((header.incompatibleFeatures & INCOMPATIBLE.corrupt) !== 0n) {
    return "the image is marked corrupt: its bitmaps cannot be trusted; repair it with qemu-img check -r";
  }
  if ((header.autoclearFeatures & AUTOCLEAR_BITMAPS) === 0n) {
    return "the image was last written by a program that does not keep bitmaps (autoclear bit 0 is clear): they miss what it wrote";
  }
  return undefined;
}

/**
 * A reference to clusters, as every offset of the bitmaps is judged: not 0, aligned, inside the file, nobody else's.
 * Gives BAD_FIELD, MISALIGNED, OUT_OF_BOUNDS or OVERLAP, undefined when all is well. `what` names it in messages.
 */
export function placeProblem(what: string, range: ByteRange, image: Image, where: Where): Problem | undefined {
  const { offset, length } = range;
  const { clusterSize, fileSize } = image;
  if (offset === 0) return { code: "BAD_FIELD", message: `the offset of ${what} is 0`, where };
  if (offset % clusterSize !== 0) {
    return {
      code: "MISALIGNED",
      message: `${what} is at ${offset}, no multiple of the cluster size ${clusterSize}`,
      where,
    };
  }
  if (offset + length > fileSize) {
    return {
      code: "OUT_OF_BOUNDS",
      message: `${what} of ${length} bytes at ${offset} runs past the end of the file at ${fileSize}`,
      where,
    };
  }
  const owner = image.owners.find((other) => shareCluster(range, other, clusterSize));
  if (owner === undefined) return undefined;
  return {
    code: "OVERLAP",
    message: `${what} at ${offset} shares a cluster with ${owner.what} at ${owner.offset}`,
    where,
  };
}
