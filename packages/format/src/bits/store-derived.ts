// Stores clusters that are computed: each is read, computed, written, and forgotten.
import { uniformKind } from "../bitmap/bit-bytes.ts";
import { itemAt, numberAt, wordAt } from "../elements.ts";
import { isQdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import type { FileChunk } from "../ports/file-image.ts";
import type { ChangePlan, Plan } from "../ports/plan.ts";
import { ChunkList } from "./chunk-list.ts";
import type { ClusterBits } from "./cluster-bits.ts";
import { roundsOf } from "./cluster-rounds.ts";
import { addToRuns, type ClusterRun } from "./fill-clusters.ts";
import { Scratch } from "./scratch.ts";

/** What became of a computed cluster. "kept": it has the bits that it has in the file. */
export type StoredCluster = "kept" | "zeros" | "ones" | { readonly offset: number; readonly checksum: number };

const KEPT = 1;
const ZEROS = 2;
const ONES = 3;
const WRITTEN = 4;

/** Where the computed clusters of a bitmap are. Numbers, not objects, since there can be millions. */
export class StoredClusters {
  readonly #kinds: Uint8Array;
  readonly #offsets: Float64Array;
  readonly #checksums: Uint32Array;
  /** Whether a cluster does not have the bits that it has in the file. */
  isChanged = false;

  constructor(count: number) {
    this.#kinds = new Uint8Array(count);
    this.#offsets = new Float64Array(count);
    this.#checksums = new Uint32Array(count);
  }

  set(cluster: number, stored: StoredCluster): void {
    this.isChanged ||= stored !== "kept";
    if (typeof stored === "string") {
      this.#kinds[cluster] = stored === "kept" ? KEPT : stored === "zeros" ? ZEROS : ONES;
      return;
    }
    this.#kinds[cluster] = WRITTEN;
    this.#offsets[cluster] = stored.offset;
    this.#checksums[cluster] = stored.checksum;
  }

  /** Returns what became of a cluster; undefined if it was not computed. */
  get(cluster: number): StoredCluster | undefined {
    switch (this.#kinds[cluster]) {
      case KEPT:
        return "kept";
      case ZEROS:
        return "zeros";
      case ONES:
        return "ones";
      case WRITTEN:
        return { offset: numberAt(this.#offsets, cluster), checksum: wordAt(this.#checksums, cluster) };
      default:
        return undefined;
    }
  }
}

/** What became of the computed clusters of bitmaps. */
export type ComputedClusters = ReadonlyMap<ClusterBits, StoredClusters>;

/**
 * Computes and stores the clusters of all `bits` of a commit that have to be computed, as {@link storeDerived} does for one bitmap.
 * @throws {QdbError} as {@link storeDerived}
 */
export function* storeAllDerived(
  changes: Iterable<{ readonly bits?: ClusterBits | undefined }>,
  allocate: (length: number) => number,
  checksum: (cluster: Uint8Array) => number,
  write: (chunks: readonly FileChunk[]) => ChangePlan<void>,
): ChangePlan<ComputedClusters> {
  const computed = new Map<ClusterBits, StoredClusters>();
  for (const { bits } of changes)
    if (bits?.hasDerived === true) computed.set(bits, yield* storeDerived(bits, allocate, checksum, write));
  return computed;
}

/**
 * Computes the clusters of a bitmap that have to be computed, and writes those that are neither all zeros, nor all ones, nor in the file
 * already. `allocate` is called for each cluster that is written, `write` for many of them at once. Only what became of each cluster is kept, 13 bytes.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster that is read does not match its checksum; what `allocate` and `write` throw
 */
function* storeDerived(
  bits: ClusterBits,
  allocate: (length: number) => number,
  checksum: (cluster: Uint8Array) => number,
  write: (chunks: readonly FileChunk[]) => ChangePlan<void>,
): ChangePlan<StoredClusters> {
  const stored = new StoredClusters(bits.count);
  const scratch = new Scratch();
  const { clusterSize } = bits;
  for (const [first, end] of roundsOf(bits.count, clusterSize, (cluster) => bits.isDerived(cluster))) {
    const bytes = scratch.bytes((end - first) * clusterSize);
    yield* bits.readInto(first, end, bytes, scratch.part(0));
    const run = new ComputedRun(bits, first, bytes, checksum);
    const same = yield* run.findSame(scratch.part(1));
    const chunks = new ChunkList();
    for (let cluster = first; cluster < end; cluster++) {
      const kind = run.kind(cluster);
      if (kind !== "data") stored.set(cluster, kind);
      else if (same.has(cluster)) stored.set(cluster, "kept");
      else {
        const offset = allocate(clusterSize);
        stored.set(cluster, { offset, checksum: run.checksum(cluster) });
        chunks.add(offset, run.part(cluster));
      }
    }
    if (chunks.list.length > 0) yield* write(chunks.list);
  }
  return stored;
}

/** Clusters that were computed, and what is known of them. */
class ComputedRun {
  readonly #bits: ClusterBits;
  readonly #first: number;
  readonly #bytes: Uint8Array;
  /** The checksum of each cluster that is not uniform. */
  readonly #found: ("zeros" | "ones" | number)[] = [];

  constructor(bits: ClusterBits, first: number, bytes: Uint8Array, checksum: (cluster: Uint8Array) => number) {
    this.#bits = bits;
    this.#first = first;
    this.#bytes = bytes;
    for (let cluster = first; cluster < first + bytes.length / bits.clusterSize; cluster++) {
      const part = this.part(cluster);
      const range = bits.rangeOf(cluster);
      this.#found.push(uniformKind(part, range.end - range.first) ?? checksum(part));
    }
  }

  /** The bytes of a cluster. */
  part(cluster: number): Uint8Array {
    const { clusterSize } = this.#bits;
    const at = (cluster - this.#first) * clusterSize;
    return this.#bytes.subarray(at, at + clusterSize);
  }

  kind(cluster: number): "zeros" | "ones" | "data" {
    const found = itemAt(this.#found, cluster - this.#first);
    return typeof found === "number" ? "data" : found;
  }

  checksum(cluster: number): number {
    const found = itemAt(this.#found, cluster - this.#first);
    if (typeof found === "string") throw new Error("a uniform cluster has no checksum");
    return found;
  }

  /**
   * Returns the clusters that the file has already. A checksum is no proof, so that the stored bytes are compared. A stored cluster that
   * cannot be read counts as different.
   */
  *findSame(scratch: Scratch): Plan<ReadonlySet<number>> {
    const same = new Set<number>();
    for (const [at, found] of this.#found.entries())
      if (typeof found === "number" && this.#bits.isStoredWith(this.#first + at, found)) same.add(this.#first + at);
    if (same.size === 0) return same;
    const runs: ClusterRun[] = [];
    for (const cluster of same) addToRuns(runs, cluster);
    const stored = scratch.bytes(this.#bytes.length);
    const { clusterSize } = this.#bits;
    const partOf = (first: number, end: number): Uint8Array =>
      stored.subarray((first - this.#first) * clusterSize, (end - this.#first) * clusterSize);
    try {
      yield* this.#bits.fillAsStored(runs, partOf);
    } catch (error) {
      if (!isQdbError(error, "IO", "SHORT_READ", "BAD_CHECKSUM")) throw error;
      same.clear();
    }
    for (const cluster of same) if (!equalBytes(this.part(cluster), partOf(cluster, cluster + 1))) same.delete(cluster);
    return same;
  }
}
