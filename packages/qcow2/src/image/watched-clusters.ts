import type { ByteRange } from "@qdb/format";
import { byteAt, lowerBound, NumberList, numberAt, wordAt } from "@qdb/format/internal";

/** Reasons why a cluster to which a bitmap or the bitmap directory refers cannot be trusted. */
export const FINDING = {
  none: 0,
  sharedByBitmaps: 1,
  header: 2,
  l1Table: 3,
  refcountTable: 4,
  refcountBlock: 5,
  snapshotTable: 6,
  snapshotL1Table: 7,
  l2Table: 8,
  guestData: 9,
  encryptionHeader: 10,
  isFree: 11,
  isReferredToTwice: 12,
} as const;
/** One of the values of {@link FINDING}. */
export type FindingKind = (typeof FINDING)[keyof typeof FINDING];

/** Name of the other owner of a cluster, by {@link FINDING}. */
const OWNERS: Readonly<Partial<Record<FindingKind, string>>> = {
  [FINDING.sharedByBitmaps]: "another bitmap, or with another part of its own",
  [FINDING.header]: "the header",
  [FINDING.l1Table]: "the L1 table",
  [FINDING.refcountTable]: "the refcount table",
  [FINDING.refcountBlock]: "a refcount block",
  [FINDING.snapshotTable]: "the snapshot table",
  [FINDING.snapshotL1Table]: "the L1 table of a snapshot",
  [FINDING.l2Table]: "an L2 table",
  [FINDING.guestData]: "data of the guest",
  [FINDING.encryptionHeader]: "the encryption header",
};

/** Names the other owner of a cluster. */
export function ownerName(finding: FindingKind): string {
  return OWNERS[finding] ?? "something else";
}

/** Describes a finding about the cluster at file offset `offset`. The text is to follow the name of the structure to which the cluster belongs. */
export function describeFinding(finding: FindingKind, offset: number): string {
  if (finding === FINDING.isFree)
    return `is in the cluster at ${offset}, which has refcount 0: it is free, and may have been overwritten`;
  if (finding === FINDING.isReferredToTwice)
    return `is in the cluster at ${offset}, which has a refcount above 1: something else is there too`;
  return `shares the cluster at ${offset} with ${ownerName(finding)}`;
}

/** Clusters with their findings. */
export interface FoundClusters {
  /** Cluster numbers in ascending order. */
  readonly clusters: Float64Array;
  /** For each cluster its {@link FindingKind}. */
  readonly findings: Uint8Array;
}

/** Maximum size of the filter in bits. The filter answers most lookups without a search. */
const MAX_FILTER_BITS = 2 ** 24;

/** The clusters to which bitmaps, their tables and the bitmap directory refer, with what was found out about them. */
export class WatchedClusters implements FoundClusters {
  readonly clusters: Float64Array;
  readonly findings: Uint8Array;
  readonly #clusterSize: number;
  /** Bit `n` is set if a cluster is watched whose number is `n` modulo the number of bits. */
  readonly #filter: Uint32Array;
  readonly #mask: number;
  #end = 0;

  /**
   * `references` are cluster numbers, one for each reference. They are sorted in place. A number that occurs twice is a cluster that
   * bitmaps share.
   */
  constructor(references: Float64Array, clusterSize: number) {
    references.sort();
    let count = 0;
    for (let at = 0; at < references.length; at++) if (references[at] !== references[at - 1]) count++;
    this.clusters = new Float64Array(count);
    this.findings = new Uint8Array(count);
    this.#clusterSize = clusterSize;
    const filterBits = 2 ** Math.ceil(Math.log2(Math.min(Math.max(count * 16, 1024), MAX_FILTER_BITS)));
    this.#filter = new Uint32Array(filterBits / 32);
    this.#mask = filterBits - 1;
    let used = -1;
    for (let at = 0; at < references.length; at++) {
      const cluster = numberAt(references, at);
      if (cluster === references[at - 1]) {
        this.findings[used] = FINDING.sharedByBitmaps;
        continue;
      }
      this.clusters[++used] = cluster;
      const bit = cluster & this.#mask;
      this.#filter[bit >>> 5] = wordAt(this.#filter, bit >>> 5) | (1 << (bit & 31));
    }
  }

  /** The number of the cluster after the last one that was marked, whether it is watched or not. */
  get end(): number {
    return this.#end;
  }

  /** Gives a finding to the watched clusters of a range. A cluster keeps its first finding. */
  mark({ offset, length }: ByteRange, finding: FindingKind): void {
    if (length === 0) return;
    const first = Math.floor(offset / this.#clusterSize);
    const last = Math.ceil((offset + length) / this.#clusterSize) - 1;
    if (first === last) {
      this.markCluster(first, finding);
      return;
    }
    if (last >= this.#end) this.#end = last + 1;
    for (let at = lowerBound(this.clusters, first); at < this.clusters.length; at++) {
      if (numberAt(this.clusters, at) > last) return;
      this.markAt(at, finding);
    }
  }

  /** Gives a finding to one cluster by its number, as {@link mark} does. Fast enough for tables with millions of entries. */
  markCluster(cluster: number, finding: FindingKind): void {
    if (cluster >= this.#end) this.#end = cluster + 1;
    const bit = cluster & this.#mask;
    if (((wordAt(this.#filter, bit >>> 5) >>> (bit & 31)) & 1) === 0) return;
    const at = lowerBound(this.clusters, cluster);
    if (this.clusters[at] === cluster) this.markAt(at, finding);
  }

  /** Gives a finding to the cluster at index `at` of `clusters`, as {@link mark} does. */
  markAt(at: number, finding: FindingKind): void {
    if (this.findings[at] === FINDING.none) this.findings[at] = finding;
  }

  /** Returns the clusters that have a finding. */
  found(): FoundClusters {
    const places = new NumberList();
    for (let at = 0; at < this.findings.length; at++) if (this.findings[at] !== FINDING.none) places.push(at);
    const kept = places.array();
    return {
      clusters: kept.map((at) => numberAt(this.clusters, at)),
      findings: Uint8Array.from(kept, (at) => byteAt(this.findings, at)),
    };
  }
}

/** Returns the first cluster of a range that has a finding, with its file offset in bytes; undefined if there is none. */
export function findingIn(
  { clusters, findings }: FoundClusters,
  { offset, length }: ByteRange,
  clusterSize: number,
): { readonly offset: number; readonly finding: FindingKind } | undefined {
  if (length === 0) return undefined;
  const at = lowerBound(clusters, Math.floor(offset / clusterSize));
  const cluster = clusters[at];
  if (cluster === undefined || cluster * clusterSize >= offset + length) return undefined;
  return { offset: cluster * clusterSize, finding: byteAt(findings, at) as FindingKind };
}
