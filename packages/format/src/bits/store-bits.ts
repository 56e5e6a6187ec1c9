import { itemAt } from "../elements.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import type { Form } from "../records/header.ts";
import { L1Builder, l1AreaSize } from "../records/l1.ts";
import type { ClusterBits } from "./cluster-bits.ts";
import { onesCluster } from "./cluster-bytes.ts";
import { Scratch } from "./scratch.ts";
import type { StoredClusters } from "./store-derived.ts";

/** Allocates `length` bytes of space in the file. Returns the file offset of the space, a multiple of the cluster size. */
export type Allocate = (length: number) => number;

/** What is to be written for the bits of a bitmap: an L1 area and data clusters, with the space that was allocated for them. */
export interface StoredBits {
  /** Number of L1 entries. */
  readonly l1Size: number;
  /** File offset of the L1 area in bytes; 0 if there are no L1 entries. */
  readonly areaOffset: number;
  /** The bytes of the L1 area. */
  readonly area: Uint8Array;
  /**
   * Yields the bytes to write: the L1 area and the data clusters, in the order in which their space was allocated. A cluster that is in the
   * file already is left out. The bytes of a chunk are valid until the next one is asked for.
   */
  chunks(): Generator<FileChunk, void>;
}

/** Sets the L1 entries of the clusters [first, end), which are unread, to their places in the file. */
export type KeepClusters = (builder: L1Builder, first: number, end: number) => void;

/**
 * Allocates space for the bits of a bitmap, and builds its L1 area. A cluster of zeros is not stored. A cluster of ones is not stored if
 * the file has the feature all-ones clusters (spec §4, Canonical file). No space is allocated for clusters that are unread, which `keep`
 * sets, and for those that are computed, of which `computed` says what became of them.
 */
export function storeBits(
  bits: ClusterBits,
  file: { readonly form: Form; readonly allOnes: boolean },
  allocate: Allocate,
  crc32: Crc32,
  keep: KeepClusters,
  computed?: StoredClusters,
): StoredBits {
  const { form, allOnes } = file;
  const { clusterSize, count: l1Size } = bits;
  if (l1Size === 0) return { l1Size, areaOffset: 0, area: new Uint8Array(0), *chunks() {} };
  const areaOffset = allocate(l1AreaSize(l1Size, form));
  const builder = new L1Builder(l1Size, form);
  const ones = new OnesClusters(bits, crc32);
  const stored: (readonly [cluster: number, offset: number])[] = [];
  for (let cluster = 0, end = 0; cluster < l1Size; cluster = end) {
    end = bits.asStoredEnd(cluster);
    if (end > cluster) {
      keep(builder, cluster, end);
      continue;
    }
    end = cluster + 1;
    const found = computed?.get(cluster) ?? bits.storedAs(cluster, (bytes) => crc32(bytes));
    if (found === "zeros") {
      builder.setZeros(cluster);
    } else if (found === "ones" && allOnes) {
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
    l1Size,
    areaOffset,
    area: builder.bytes,
    *chunks() {
      yield { offset: areaOffset, bytes: builder.bytes };
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

/** Clusters of ones, for a file without all-ones clusters. All but the last have the same bytes, which are made once. */
class OnesClusters {
  readonly #bits: ClusterBits;
  readonly #crc32: Crc32;
  #bytes: Uint8Array | undefined;
  #checksum: number | undefined;

  constructor(bits: ClusterBits, crc32: Crc32) {
    this.#bits = bits;
    this.#crc32 = crc32;
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
    if (bytes !== this.#bytes) return this.#crc32(bytes);
    this.#checksum ??= this.#crc32(bytes);
    return this.#checksum;
  }
}
