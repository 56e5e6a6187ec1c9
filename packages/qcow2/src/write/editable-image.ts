// Opens an image for changes: refuses what is not safe, and looks for the owners of all clusters that a commit may free or write.
import { QdbError } from "@qdb/format";
import type { Plan } from "@qdb/format/container";
import { byteAt, lowerBound } from "@qdb/format/internal";
import { pushClusters } from "../cluster-ranges.ts";
import { headerError, INCOMPATIBLE } from "../header.ts";
import { ClusterJudgement, findOwners, type Owners, readTables } from "../judgement.ts";
import { type Qcow2Parts, readQcow2Parts, surroundingsOf } from "../qcow2-index.ts";
import { readBlockOffsets, refcountGeometry } from "../refcount-table.ts";
import { StructureReader } from "../structure-reader.ts";
import { FINDING, type FindingKind, ownerName } from "../watched-clusters.ts";
import type { FreeClusters } from "./cluster-space.ts";
import { findEndOfCounted, findFreeClusters, type RefcountBlocks } from "./find-free-clusters.ts";

/** Number of free clusters that are looked for besides as many as all bitmaps have now. */
const MORE_CLUSTERS = 1024;
/** The same on a device, which cannot grow. */
const MORE_ON_DEVICE = 2 ** 20;

/** An image that is open for changes. */
export interface EditableImage extends Qcow2Parts {
  readonly owners: Owners;
  readonly refcounts: RefcountBlocks;
  readonly free: FreeClusters;
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
  const owners = yield* findOwners(surroundings, bitmaps, inside);
  refuseUsed(inside, owners, clusterSize);
  if (parts.directory !== undefined) parts.directory.judgement = new ClusterJudgement(surroundings, owners, bitmaps);
  const end = yield* findEndOfCounted(refcounts, Math.max(owners.end, Math.ceil(size / clusterSize)), scan);
  const free = { inside, end, limit, named: named.subarray(lowerBound(named, end)) };
  return { ...parts, owners, refcounts, free };
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
function refuseUsed(candidates: Float64Array, { found }: Owners, clusterSize: number): void {
  for (const cluster of candidates) {
    const at = lowerBound(found.clusters, cluster);
    const finding = found.clusters[at] === cluster ? (byteAt(found.findings, at) as FindingKind) : FINDING.none;
    if (finding === FINDING.isFree) continue;
    const offset = cluster * clusterSize;
    const message = `the cluster at ${offset} has refcount 0, but belongs to ${ownerName(finding)}: the image is damaged; repair it with qemu-img check -r all`;
    throw new QdbError("OVERLAP", message, { structure: "refcount block", offset });
  }
}
