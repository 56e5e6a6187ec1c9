// The procedure that stores a bitmap: data clusters, and one table with a descriptor for each. QDB files and qcow2 images share it.
import { itemAt } from "../elements.ts";
import type { FileChunk } from "../ports/file-image.ts";
import type { ClusterBits } from "./cluster-bits.ts";
import { onesCluster } from "./cluster-bytes.ts";
import { Scratch } from "./scratch.ts";
import type { StoredClusters } from "./store-derived.ts";

/** Allocates `length` bytes of space in the file, in one piece. Returns the file offset of the space, a multiple of the cluster size. */
export type Allocate = (length: number) => number;

/** The table of a bitmap while it is built: a descriptor for each cluster, each of which is set once. */
export interface TableBuilder {
  /** The bytes of the table. */
  readonly bytes: Uint8Array;
  /** Sets a descriptor to a cluster of zeros without space in the file. */
  setZeros(cluster: number): void;
  /** Sets a descriptor to a cluster of ones without space in the file. Called only if {@link TableCodec.allOnes}. */
  setOnes(cluster: number): void;
  /** Sets a descriptor to a stored cluster: its file offset in bytes, and its checksum by {@link TableCodec.checksum}. */
  setData(cluster: number, offset: number, checksum: number): void;
}

/** How a container writes the table of a bitmap. `B` is its builder. */
export interface TableCodec<B extends TableBuilder> {
  /** Whether a descriptor can say that a cluster reads as ones. "whole": only of a cluster in which every bit is one of the bitmap. */
  readonly allOnes: boolean | "whole";
  /** Returns the checksum of a cluster that the table keeps; any number if the container has none. */
  checksum(cluster: Uint8Array): number;
  /** Returns a builder for a table of `count` descriptors. */
  builder(count: number): B;
}

/** What is to be written for the bits of a bitmap: a table and data clusters, with the space that was allocated for them. */
export interface StoredBits {
  /** Number of descriptors in the table. */
  readonly count: number;
  /** File offset of the table in bytes; 0 if it has no descriptors. */
  readonly tableOffset: number;
  /** The bytes of the table. */
  readonly table: Uint8Array;
  /**
   * Yields the bytes to write: the table and the data clusters, in the order in which their space was allocated. A cluster that is in the
   * file already is left out. The bytes of a chunk are valid until the next one is asked for.
   */
  chunks(): Generator<FileChunk, void>;
}

/** Sets the descriptors of the clusters [first, end), which are unread, to their places in the file. */
export type KeepClusters<B extends TableBuilder> = (builder: B, first: number, end: number) => void;

/**
 * Allocates space for the bits of a bitmap, and builds its table. A cluster of zeros is not stored. A cluster of ones is not stored if the
 * codec has a descriptor for it (spec §4, Canonical file). No space is allocated for clusters that are unread, which `keep` sets, and for
 * those that are computed, of which `computed` says what became of them.
 */
export function storeBits<B extends TableBuilder>(
  bits: ClusterBits,
  codec: TableCodec<B>,
  allocate: Allocate,
  keep: KeepClusters<B>,
  computed?: StoredClusters,
): StoredBits {
  const { clusterSize, count } = bits;
  if (count === 0) return { count, tableOffset: 0, table: new Uint8Array(0), *chunks() {} };
  const builder = codec.builder(count);
  const tableOffset = allocate(builder.bytes.length);
  const checksum = (bytes: Uint8Array): number => codec.checksum(bytes);
  const hasOnes = (cluster: number): boolean =>
    codec.allOnes === "whole" ? (cluster + 1) * clusterSize * 8 <= bits.bitCount : codec.allOnes;
  const ones = new OnesClusters(bits, checksum);
  const stored: (readonly [cluster: number, offset: number])[] = [];
  for (let cluster = 0, end = 0; cluster < count; cluster = end) {
    end = bits.asStoredEnd(cluster);
    if (end > cluster) {
      keep(builder, cluster, end);
      continue;
    }
    end = cluster + 1;
    const found = computed?.get(cluster) ?? bits.storedAs(cluster, checksum);
    if (found === "zeros") {
      builder.setZeros(cluster);
    } else if (found === "ones" && hasOnes(cluster)) {
      builder.setOnes(cluster);
    } else if (found === "kept") {
      keep(builder, cluster, end);
    } else if (typeof found === "object") {
      builder.setData(cluster, found.offset, found.checksum);
    } else {
      const offset = allocate(clusterSize);
      builder.setData(cluster, offset, found === "ones" ? ones.checksum(cluster) : found);
      stored.push([cluster, offset]);
    }
  }
  return {
    count,
    tableOffset,
    table: builder.bytes,
    *chunks() {
      yield { offset: tableOffset, bytes: builder.bytes };
      const scratch = new Scratch();
      for (let from = 0, to = 0; from < stored.length; from = to) {
        to = endOfPiece(stored, from, clusterSize);
        const [, offset] = itemAt(stored, from);
        const bytes = scratch.bytes((to - from) * clusterSize);
        for (let at = from; at < to; at++) {
          const [cluster] = itemAt(stored, at);
          const put = (found: Uint8Array): void => bytes.set(found, (at - from) * clusterSize);
          const kind = computed?.get(cluster) === "ones" ? "ones" : bits.storedAs(cluster, put);
          if (kind === "ones") put(ones.bytes(cluster));
          else if (kind !== undefined) throw new Error("the bits changed after space was allocated for them");
        }
        yield { offset, bytes };
      }
    },
  };
}

/** Maximum number of bytes of clusters that are passed on as one chunk. */
const CHUNK_BYTES = 1024 * 1024;

/** Returns the end of the piece of a list that is one chunk: clusters that follow each other in the file. */
function endOfPiece(
  stored: readonly (readonly [cluster: number, offset: number])[],
  from: number,
  clusterSize: number,
): number {
  const [, offset] = itemAt(stored, from);
  const most = Math.min(stored.length, from + Math.max(1, CHUNK_BYTES / clusterSize));
  let to = from + 1;
  while (to < most && itemAt(stored, to)[1] === offset + (to - from) * clusterSize) to++;
  return to;
}

/** Clusters of ones, for a codec without a descriptor for them. All but the last have the same bytes, which are made once. */
class OnesClusters {
  readonly #bits: ClusterBits;
  readonly #checksumOf: (cluster: Uint8Array) => number;
  #bytes: Uint8Array | undefined;
  #checksum: number | undefined;

  constructor(bits: ClusterBits, checksum: (cluster: Uint8Array) => number) {
    this.#bits = bits;
    this.#checksumOf = checksum;
  }

  bytes(cluster: number): Uint8Array {
    const { first, end } = this.#bits.rangeOf(cluster);
    const { clusterSize } = this.#bits;
    if (end - first < clusterSize * 8) return onesCluster(clusterSize, end - first);
    this.#bytes ??= onesCluster(clusterSize);
    return this.#bytes;
  }

  checksum(cluster: number): number {
    const bytes = this.bytes(cluster);
    if (bytes !== this.#bytes) return this.#checksumOf(bytes);
    this.#checksum ??= this.#checksumOf(bytes);
    return this.#checksum;
  }
}
