// Opens an image for changes: refuses what is not safe, and looks for the owners of all clusters that a commit may free or write.
import { QdbError } from "@qdb/format";
import { type Plan, readRange } from "@qdb/format/container";
import { lowerBound } from "@qdb/format/internal";
import { ClusterJudgement, findOwners, type Owners, readTables } from "../bitmaps/judgement.ts";
import { type Qcow2Parts, readQcow2Parts, surroundingsOf } from "../bitmaps/qcow2-index.ts";
import { pushClusters } from "../image/cluster-ranges.ts";
import { headerError, INCOMPATIBLE } from "../image/header.ts";
import { readBlockOffsets, refcountGeometry, refcountTableRange } from "../image/refcount-table.ts";
import { StructureReader } from "../image/structure-reader.ts";
import { FINDING, type FindingKind, ownerName } from "../image/watched-clusters.ts";
import type { FreeClusters } from "./cluster-space.ts";
import { findEndOfCounted, findFreeClusters, type RefcountBlocks } from "./find-free-clusters.ts";
import { clustersIn, findingOf } from "./image-clusters.ts";

/** Number of free clusters that are looked for besides as many as all bitmaps have now. */
const MORE_CLUSTERS = 1024;
/** The same on a device, which cannot grow. */
const MORE_ON_DEVICE = 2 ** 20;

/** An image that is open for changes. */
export interface EditableImage extends Qcow2Parts {
  readonly owners: Owners;
  readonly refcounts: RefcountBlocks;
  readonly free: FreeClusters;
  /** The bytes of the first cluster: header, extensions, and the name of the backing file. */
  readonly firstCluster: Uint8Array;
  /** The numbers of all clusters to which bitmaps, their tables and the directory refer, in ascending order; a shared one more than once. */
  readonly named: Float64Array;
}

/** What a store says of the file. */
export interface FileFacts {
  /** Length in bytes. */
  readonly size: number;
  /** Whether the length cannot change: a device. */
  readonly fixedSize?: boolean | undefined;
}

/**
 * Reads an image for changes of its bitmaps. All structures of the image are looked through once.
 * @throws {QdbError} NOT_SUPPORTED for an image of version 2, or one that is marked corrupt or dirty; OVERLAP if a cluster is counted as free
 * but is in use; else as `readQcow2Index`, and for structures that cannot be looked through
 */
export function* readEditableImage({ size, fixedSize = false }: FileFacts): Plan<EditableImage> {
  const parts = yield* readQcow2Parts(size);
  refuseUnsafe(parts);
  const { header, image, bitmaps, directory = { offset: 0, bytes: new Uint8Array(0) } } = parts;
  const { clusterSize } = image;
  const firstCluster = yield* readRange(0, clusterSize);
  const scan = new StructureReader(size, size);
  const geometry = refcountGeometry(header);
  const offsets = yield* readBlockOffsets(header, scan);
  const refcounts = { geometry, offsets };
  // Tables are read here for their references, and once more with the owners: there they are checked.
  const references = (yield* readTables(image, bitmaps, new StructureReader(size, size))).references(Number.MAX_VALUE);
  pushClusters(references, { offset: directory.offset, length: directory.bytes.length }, clusterSize, size);
  const named = references.array().sort();
  const limit = fixedSize ? Math.floor(size / clusterSize) : Number.POSITIVE_INFINITY;
  const most = named.length + (fixedSize ? MORE_ON_DEVICE : MORE_CLUSTERS);
  const inside = yield* findFreeClusters(refcounts, Math.floor(size / clusterSize), most, named, scan);
  const surroundings = surroundingsOf(parts, directory);
  const inPlace = clustersInPlace(parts, refcounts);
  const owners = yield* findOwners(surroundings, bitmaps, othersOf(inside, inPlace, named));
  refuseUsed(inside, owners, clusterSize);
  refuseShared(inPlace, owners, clusterSize);
  if (parts.directory !== undefined) parts.directory.judgement = new ClusterJudgement(surroundings, owners, bitmaps);
  const end = yield* findEndOfCounted(refcounts, Math.ceil(size / clusterSize), scan);
  if (owners.end > end) {
    const message = `the image refers to a cluster at ${(owners.end - 1) * clusterSize}, past the end of the file, that no refcount counts: it is damaged; repair it with qemu-img check -r all`;
    throw new QdbError("OUT_OF_BOUNDS", message, { structure: "file" });
  }
  const free = { inside, end, limit, named: named.subarray(lowerBound(named, end)) };
  return { ...parts, owners, refcounts, free, named, firstCluster };
}

function refuseUnsafe({ header }: Qcow2Parts): void {
  const refuse = (field: Parameters<typeof headerError>[0], message: string): QdbError =>
    headerError(field, "NOT_SUPPORTED", message);
  if (header.version !== 3)
    throw refuse("version", "qcow2 version 2 has no bitmaps; upgrade it with qemu-img amend -o compat=1.1");
  const features = header.incompatibleFeatures;
  if ((features & INCOMPATIBLE.corrupt) !== 0n)
    throw refuse("incompatibleFeatures", "the image is marked corrupt; repair it with qemu-img check -r all");
  if ((features & INCOMPATIBLE.dirty) !== 0n) {
    const message = "the image is marked dirty: its refcounts may be outdated; repair it with qemu-img check -r all";
    throw refuse("incompatibleFeatures", message);
  }
}

/** Refuses an image in which something refers to a cluster with refcount 0: what is written there would destroy it. @throws {QdbError} OVERLAP */
function refuseUsed(candidates: Float64Array, owners: Owners, clusterSize: number): void {
  for (const cluster of candidates) {
    const finding = findingOf(owners, cluster);
    if (finding === FINDING.isFree) continue;
    const offset = cluster * clusterSize;
    const message = `the cluster at ${offset} has refcount 0, but belongs to ${ownerName(finding)}: the image is damaged; repair it with qemu-img check -r all`;
    throw new QdbError("OVERLAP", message, { structure: "refcount block", offset });
  }
}

/** Returns the clusters that a commit writes in place, with what they are: those of header, refcount table and refcount blocks. */
function clustersInPlace(
  { header, image: { clusterSize, fileSize } }: Qcow2Parts,
  { offsets }: RefcountBlocks,
): ReadonlyMap<number, FindingKind> {
  const clusters = new Map<number, FindingKind>();
  for (const offset of offsets) {
    const where = { structure: "refcount block", offset };
    if (offset + clusterSize > fileSize)
      throw new QdbError(
        "OUT_OF_BOUNDS",
        `a refcount block is at ${offset}, past the end of the file at ${fileSize}`,
        where,
      );
    if (offset === 0) continue;
    if (clusters.has(offset / clusterSize))
      throw new QdbError("OVERLAP", `two refcount blocks are at ${offset}; run qemu-img check`, where);
    clusters.set(offset / clusterSize, FINDING.refcountBlock);
  }
  for (const cluster of clustersIn(refcountTableRange(header), clusterSize))
    clusters.set(cluster, FINDING.refcountTable);
  return clusters.set(0, FINDING.header);
}

/** Returns clusters to look for besides those of bitmaps, each once, in ascending order. */
function othersOf(inside: Float64Array, inPlace: ReadonlyMap<number, FindingKind>, named: Float64Array): Float64Array {
  const isNew = (cluster: number): boolean =>
    inside[lowerBound(inside, cluster)] !== cluster && named[lowerBound(named, cluster)] !== cluster;
  const others = [...inPlace.keys()].filter(isNew);
  const all = new Float64Array(inside.length + others.length);
  all.set(inside);
  all.set(others, inside.length);
  return all.sort();
}

/** Refuses an image in which something else refers to a cluster that is written in place. @throws {QdbError} OVERLAP */
function refuseShared(inPlace: ReadonlyMap<number, FindingKind>, owners: Owners, clusterSize: number): void {
  for (const [cluster, kind] of inPlace) {
    const finding = findingOf(owners, cluster);
    if (finding === kind) continue;
    const offset = cluster * clusterSize;
    const message = `the cluster at ${offset} belongs to ${ownerName(kind)}, and to ${ownerName(finding)} too: the image is damaged; repair it with qemu-img check -r all`;
    throw new QdbError("OVERLAP", message, { structure: ownerName(kind), offset });
  }
}
