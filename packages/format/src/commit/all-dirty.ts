// What a commit writes for a bitmap of which every bit becomes dirty. The bytes of its L1 area and data clusters are not held in memory:
// they are generated as they are written.

import { onesCluster } from "../bits/cluster-bytes.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type BitmapEntry, l1EntriesFor } from "../records/bitmap-entry.ts";
import { L1_CHECKSUM, L1_ENTRY, L1Builder, l1AreaSize } from "../records/l1.ts";
import type { BitmapWrites, ClusterCopy, DataFields } from "./bitmap-writes.ts";
import { chunksOf } from "./chunks.ts";
import type { FreeSpace } from "./free-space.ts";

/** Maximum length of a chunk in bytes. The last data cluster is one chunk even if it is longer: a cluster has up to 2 MiB. */
const CHUNK_BYTES = 256 * 1024;
/** Maximum number of L1 entries in a chunk. */
const CHUNK_ENTRIES = CHUNK_BYTES / L1_ENTRY.size;

/** Allocates space for a bitmap of which every bit becomes dirty. @throws {QdbError} LIMIT if there is no free space */
export function allDirtyWrites(entry: BitmapEntry, index: QdbIndex, space: FreeSpace, crc32: Crc32): BitmapWrites {
  const { clusterSize, allOnes } = index;
  const { bitCount } = entry;
  const count = l1EntriesFor(bitCount, clusterSize);
  if (count === 0) return { fields: { l1TableOffset: 0n, l1Size: 0, l1Checksum: 0 }, copies: [], chunks: () => [] };
  const areaOffset = space.allocate(l1AreaSize(count, "full"));
  const dataOffset = allOnes ? undefined : space.allocate(count * clusterSize);
  return new AllDirtyBitmap({ bitCount, count, areaOffset, dataOffset, clusterSize }, crc32);
}

/** Shape and place of a bitmap of ones. */
interface AllDirtyPlace {
  readonly bitCount: number;
  /** Number of L1 entries. */
  readonly count: number;
  /** File offset of the L1 area in bytes. */
  readonly areaOffset: number;
  /**
   * File offset of the first data cluster in bytes; the other clusters follow it without a gap. Undefined if the file has all-ones
   * clusters: then no data cluster is stored.
   */
  readonly dataOffset: number | undefined;
  /** Cluster size in bytes. */
  readonly clusterSize: number;
}

/**
 * Holds only a few numbers for each bitmap, because a hostile file can have tens of thousands of damaged bitmaps, or a few with L1 areas of
 * 12 MiB each.
 */
class AllDirtyBitmap implements BitmapWrites {
  readonly fields: Partial<DataFields>;
  readonly copies: readonly ClusterCopy[] = [];
  readonly #place: AllDirtyPlace;
  /** CRC-32 of every data cluster but the last. The last one has its own checksum, because the bitmap can end inside it. */
  readonly #clusterChecksum: number = 0;
  readonly #lastChecksum: number = 0;

  constructor(place: AllDirtyPlace, crc32: Crc32) {
    this.#place = place;
    const { dataOffset, areaOffset, count, clusterSize, bitCount } = place;
    if (dataOffset !== undefined) {
      if (count > 1) this.#clusterChecksum = crc32(onesCluster(clusterSize));
      this.#lastChecksum = crc32(onesCluster(clusterSize, bitCount - (count - 1) * clusterSize * 8));
    }
    let l1Checksum = 0;
    for (const part of this.#l1Area()) l1Checksum = crc32(part, l1Checksum);
    this.fields = { l1TableOffset: BigInt(areaOffset), l1Size: count, l1Checksum };
  }

  *chunks(): Generator<FileChunk, void> {
    const { areaOffset, dataOffset, count, clusterSize, bitCount } = this.#place;
    yield* chunksOf(this.#l1Area(), areaOffset, clusterSize);
    if (dataOffset === undefined) return;
    const whole = Math.floor(bitCount / 8 / clusterSize);
    const end = whole * clusterSize;
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end)).fill(0xff);
    for (let at = 0; at < end; at += chunk.length)
      yield { offset: dataOffset + at, bytes: chunk.subarray(0, Math.min(chunk.length, end - at)) };
    if (whole < count) yield { offset: dataOffset + end, bytes: onesCluster(clusterSize, bitCount - end * 8) };
  }

  /** Yields the L1 area in chunks: first the entries, then the checksums and the padding. A small area is a single chunk. */
  *#l1Area(): Generator<Uint8Array, void> {
    const { count } = this.#place;
    if (l1AreaSize(count, "full") <= CHUNK_BYTES) {
      const builder = new L1Builder(count, "full");
      for (let cluster = 0; cluster < count; cluster++)
        this.#setEntry(builder, cluster, cluster, this.#checksum(cluster));
      yield builder.bytes;
      return;
    }
    for (let first = 0; first < count; first += CHUNK_ENTRIES) {
      const length = Math.min(CHUNK_ENTRIES, count - first);
      // An L1Builder of draft form writes entries without checksums. The checksums of all entries follow after the last entry.
      const builder = new L1Builder(length, "draft");
      for (let at = 0; at < length; at++) this.#setEntry(builder, at, first + at, 0);
      yield builder.bytes;
    }
    yield* this.#l1Checksums();
  }

  #setEntry(builder: L1Builder, at: number, cluster: number, checksum: number): void {
    const { dataOffset, clusterSize } = this.#place;
    if (dataOffset === undefined) builder.setOnes(at);
    else builder.setData(at, dataOffset + cluster * clusterSize, checksum);
  }

  *#l1Checksums(): Generator<Uint8Array, void> {
    const { count } = this.#place;
    const end = l1AreaSize(count, "full") - count * L1_ENTRY.size;
    for (let at = 0; at < end; at += CHUNK_BYTES) {
      const bytes = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
      const view = new DataView(bytes.buffer);
      const first = at / L1_CHECKSUM.size;
      for (let cluster = first; cluster < count && (cluster - first) * L1_CHECKSUM.size < bytes.length; cluster++)
        view.setUint32((cluster - first) * L1_CHECKSUM.size, this.#checksum(cluster));
      yield bytes;
    }
  }

  #checksum(cluster: number): number {
    return cluster === this.#place.count - 1 ? this.#lastChecksum : this.#clusterChecksum;
  }
}
