// How a commit stores what a repair puts right: places and checksums first, the bytes when they are written, a piece at a time.
import { QdbError } from "../errors.ts";
import { alignUp } from "../layout/numbers.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { BLOCK } from "../maps/reached.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type BitmapEntry, l1EntriesFor } from "../records/bitmap-entry.ts";
import { L1_CHECKSUM, L1_ENTRY, L1Builder, l1AreaSize } from "../records/l1.ts";
import type { BitmapChange, ClusterRepair } from "./bitmap-change.ts";
import type { BitmapWrites, ClusterCopy, DataFields } from "./bitmap-writes.ts";
import type { FreeSpace } from "./free-space.ts";

/** Bytes of one piece that is written, at most; a single cluster can be longer. */
const PIECE = 256 * 1024;
/** Entries, or checksums, of one piece. */
const PIECE_ENTRIES = PIECE / L1_ENTRY.size;

/**
 * Bytes that a repair would store anew: L1 areas, and data clusters where the file has no all-ones clusters. What is known before any
 * of it is allocated.
 */
export function repairBytes(bitmaps: readonly BitmapChange[], { clusterSize, allOnes }: QdbIndex): number {
  let bytes = 0;
  for (const { from, mend } of bitmaps) {
    if (from === undefined || mend === undefined) continue;
    const entries = l1EntriesFor(from.entry.bitCount, clusterSize);
    const clusters = mend === "all" ? entries : mend.dirty.length;
    bytes += alignUp(l1AreaSize(entries, "full"), BLOCK) + (allOnes ? 0 : clusters * clusterSize);
  }
  return bytes;
}

/** A bitmap that becomes all dirty. @throws {QdbError} LIMIT where there is no free space */
export function placeDirty(entry: BitmapEntry, index: QdbIndex, space: FreeSpace, crc32: Crc32): BitmapWrites {
  const { clusterSize, allOnes } = index;
  const { bitCount: bits } = entry;
  const count = l1EntriesFor(bits, clusterSize);
  if (count === 0) return { place: { l1TableOffset: 0n, l1Size: 0, l1Checksum: 0 } };
  const areaOffset = space.allocate(l1AreaSize(count, "full"));
  const start = allOnes ? 0 : space.allocate(count * clusterSize);
  return new DirtyBitmap({ bits, count, areaOffset, start, clusterSize }, crc32);
}

/** A bitmap of ones: where its L1 area is and, unless the file has all-ones clusters, its data clusters, one behind the other. */
interface Ones {
  readonly bits: number;
  /** Entries of the L1 area. */
  readonly count: number;
  readonly areaOffset: number;
  /** File offset of the first data cluster in bytes; 0 where none is stored. */
  readonly start: number;
  readonly clusterSize: number;
}

const NO_CRCS = { ones: 0, last: 0 };

/** A few numbers: a hostile file has tens of thousands of damaged bitmaps, or four whose L1 areas take 12 MiB each. */
class DirtyBitmap implements BitmapWrites {
  readonly #ones: Ones;
  readonly #checksum: number;
  readonly #crcs: { readonly ones: number; readonly last: number };

  constructor(ones: Ones, crc32: Crc32) {
    this.#ones = ones;
    const { start, count, clusterSize, bits } = ones;
    this.#crcs =
      start === 0
        ? NO_CRCS
        : {
            ones: count === 1 ? 0 : crc32(onesCluster(clusterSize, clusterSize * 8)),
            last: crc32(onesCluster(clusterSize, bits - (count - 1) * clusterSize * 8)),
          };
    let checksum = 0;
    for (const piece of this.#area()) checksum = crc32(piece, checksum);
    this.#checksum = checksum;
  }

  get place(): DataFields {
    const { areaOffset, count } = this.#ones;
    return { l1TableOffset: BigInt(areaOffset), l1Size: count, l1Checksum: this.#checksum };
  }

  *chunks(): Generator<FileChunk, void> {
    const { areaOffset, start, count, clusterSize, bits } = this.#ones;
    yield* chunksOf(this.#area(), areaOffset, clusterSize);
    if (start === 0) return;
    const whole = Math.floor(bits / 8 / clusterSize);
    const end = whole * clusterSize;
    const piece = new Uint8Array(Math.min(PIECE, end)).fill(0xff);
    for (let at = 0; at < end; at += piece.length)
      yield { offset: start + at, bytes: piece.subarray(0, Math.min(piece.length, end - at)) };
    if (whole < count) yield { offset: start + end, bytes: onesCluster(clusterSize, bits - end * 8) };
  }

  /** The L1 area in pieces: entries, checksums, padding; in one where it is small. */
  *#area(): Generator<Uint8Array, void> {
    const { count, start, clusterSize } = this.#ones;
    const { ones, last } = this.#crcs;
    if (l1AreaSize(count, "full") <= PIECE) {
      const builder = new L1Builder(count, "full");
      for (let at = 0; at < count; at++)
        if (start === 0) builder.setOnes(at);
        else builder.setData(at, start + at * clusterSize, at === count - 1 ? last : ones);
      yield builder.bytes;
      return;
    }
    for (let first = 0; first < count; first += PIECE_ENTRIES) {
      const builder = new L1Builder(Math.min(PIECE_ENTRIES, count - first), "draft");
      for (let at = 0; at < builder.bytes.length / L1_ENTRY.size; at++)
        if (start === 0) builder.setOnes(at);
        else builder.setData(at, start + (first + at) * clusterSize, 0);
      yield builder.bytes;
    }
    const end = l1AreaSize(count, "full") - count * L1_ENTRY.size;
    for (let at = 0; at < end; at += PIECE) {
      const bytes = new Uint8Array(Math.min(PIECE, end - at));
      const view = new DataView(bytes.buffer);
      const first = at / L1_CHECKSUM.size;
      for (let entry = first; entry < count && (entry - first) * L1_CHECKSUM.size < bytes.length; entry++)
        view.setUint32((entry - first) * L1_CHECKSUM.size, entry === count - 1 ? last : ones);
      yield bytes;
    }
  }
}

/** A bitmap of which some clusters become dirty, and the others stay where they are. @throws {QdbError} LIMIT where there is no free space */
export function placeMended(
  map: QdbClusterMap,
  { dirty, tail }: ClusterRepair,
  { clusterSize, allOnes }: QdbIndex,
  space: FreeSpace,
  crc32: Crc32,
): BitmapWrites {
  const builder = new L1Builder(map.count, "full");
  builder.bytes.set(map.area.bytes.subarray(0, map.count * (L1_ENTRY.size + L1_CHECKSUM.size)));
  const areaOffset = space.allocate(builder.bytes.length);
  const last = map.count - 1;
  const bitsOf = (cluster: number): number => Math.min(clusterSize * 8, map.bitCount - cluster * clusterSize * 8);
  /** Neither a place nor a checksum. */
  const clear = (cluster: number): void => builder.setData(cluster, 0, 0);
  const stored: (readonly [cluster: number, offset: number])[] = [];
  const whole = dirty.some((cluster) => cluster !== last) && !allOnes ? crc32(onesCluster(clusterSize)) : 0;
  for (const cluster of dirty) {
    if (allOnes) {
      clear(cluster);
      builder.setOnes(cluster);
      continue;
    }
    const offset = space.allocate(clusterSize);
    stored.push([cluster, offset]);
    builder.setData(cluster, offset, cluster === last ? crc32(onesCluster(clusterSize, bitsOf(last))) : whole);
  }
  const copies: ClusterCopy[] = [];
  if (tail === "ones" || tail === "zeros") clear(last);
  if (tail === "ones") {
    builder.setOnes(last);
  } else if (tail === "zeros") {
    builder.setZeros(last);
  } else if (tail !== undefined) {
    const to = space.allocate(clusterSize);
    copies.push({ from: map.offset(last), to, bits: bitsOf(last), checksum: tail.checksum });
    builder.setData(last, to, tail.checksum);
  }
  const area = builder.bytes;
  return {
    place: { l1TableOffset: BigInt(areaOffset), l1Checksum: crc32(area) },
    area,
    copies,
    *chunks() {
      yield* chunksOf([area], areaOffset, clusterSize);
      for (const [cluster, offset] of stored) yield { offset, bytes: onesCluster(clusterSize, bitsOf(cluster)) };
    },
  };
}

/** The bytes of a cluster that moves, as they are to be. @throws {QdbError} SOURCE_CHANGED where they are not what was read before */
export function copiedBytes(bytes: Uint8Array, { from, bits, checksum }: ClusterCopy, crc32: Crc32): Uint8Array {
  if (bits === undefined) return bytes;
  const masked = withoutTail(bytes, bits);
  if (crc32(masked) === checksum) return masked;
  throw new QdbError("SOURCE_CHANGED", "a data cluster changed since it was looked at", { offset: from });
}

/** The bytes of a cluster with zeros behind so many bits. */
export function withoutTail(bytes: Uint8Array, bits: number): Uint8Array {
  const whole = Math.floor(bits / 8);
  const masked = new Uint8Array(bytes.length);
  masked.set(bytes.subarray(0, whole));
  if (bits % 8 !== 0) masked[whole] = (bytes[whole] ?? 0) & ((1 << (bits % 8)) - 1);
  return masked;
}

/** A cluster whose first bits are ones. */
function onesCluster(clusterSize: number, bits = clusterSize * 8): Uint8Array {
  return withoutTail(new Uint8Array(clusterSize).fill(0xff), bits);
}

/**
 * The pieces of a structure as chunks, the last one with zeros to the end of its cluster, or of its block where that comes first: what
 * stood there before is of no use to anybody.
 */
function* chunksOf(pieces: Iterable<Uint8Array>, start: number, clusterSize: number): Generator<FileChunk, void> {
  let offset = start;
  let last: Uint8Array | undefined;
  for (const piece of pieces) {
    if (last !== undefined) {
      yield { offset, bytes: last };
      offset += last.length;
    }
    last = piece;
  }
  if (last === undefined) return;
  const bytes = new Uint8Array(alignUp(offset + last.length, Math.min(clusterSize, BLOCK)) - offset);
  bytes.set(last);
  yield { offset, bytes };
}
