import {
  type BitmapShape,
  type ByteRange,
  type ClusterKind,
  type ClusterMap,
  type Plan,
  type Problem,
  QdbError,
  read,
  struct,
  u64,
} from "@qdb/format";
import type { Qcow2Bitmap } from "./bitmap.ts";
import { type Image, placeProblem } from "./image.ts";
import type { Qcow2Index } from "./qcow2-index.ts";

/**
 * An entry of a bitmap table (qcow2: Bitmap table): bits 9-55 the offset of a data cluster; where that is 0, bit 0 tells
 * whether the cluster reads as zeros (0) or ones (1). All other bits are 0.
 */
export const BITMAP_TABLE_ENTRY = struct("bitmap table entry", 8, {
  entry: [0, u64, "where the data cluster is, or that it reads as zeros or ones", "qcow2: Bitmap table"],
});

const ONES_BIT = 1;
const RESERVED_LOW = 0x1fe;
const OFFSET_LOW = 0xfffffe00;
const OFFSET_HIGH = 0x00ffffff;

/** The cluster map of a bitmap, over its table as it stands in the file; entries are decoded where they are looked at. */
class Qcow2ClusterMap implements ClusterMap {
  readonly shape: BitmapShape;
  readonly bits: number;
  readonly label: string;
  readonly clusterSize: number;
  readonly count: number;
  readonly #view: DataView;

  constructor(bitmap: Qcow2Bitmap, table: Uint8Array, clusterSize: number) {
    this.shape = bitmap.shape;
    this.bits = bitmap.bits;
    this.label = bitmap.label;
    this.clusterSize = clusterSize;
    this.count = table.length / BITMAP_TABLE_ENTRY.size;
    this.#view = new DataView(table.buffer, table.byteOffset, table.length);
  }

  kind(cluster: number): ClusterKind {
    if (this.offset(cluster) !== 0) return "data";
    return (this.#low(cluster) & ONES_BIT) === 0 ? "zeros" : "ones";
  }

  offset(cluster: number): number {
    // Up to 2^56, and exact: multiples of 512 are.
    return (this.#high(cluster) & OFFSET_HIGH) * 2 ** 32 + ((this.#low(cluster) & OFFSET_LOW) >>> 0);
  }

  /** Nothing is found wrong, ever: qcow2 has no checksums. */
  verify(): undefined {
    return undefined;
  }

  /** Whether bits are set that must be 0; bit 0 is one of them beside an offset. */
  hasReservedBits(cluster: number): boolean {
    const low = this.#low(cluster);
    return (
      this.#high(cluster) > OFFSET_HIGH ||
      (low & RESERVED_LOW) !== 0 ||
      ((low & ONES_BIT) !== 0 && this.offset(cluster) !== 0)
    );
  }

  #high(cluster: number): number {
    return this.#view.getUint32(cluster * BITMAP_TABLE_ENTRY.size);
  }

  #low(cluster: number): number {
    return this.#view.getUint32(cluster * BITMAP_TABLE_ENTRY.size + 4);
  }
}

/**
 * Reads the table of a bitmap, one round, and validates every entry: the plans over bits of @qdb/format take the map.
 * Bits behind the last one are not looked at (qcow2 wants them 0, QEMU takes others).
 * @throws {QdbError} the bitmap's problem; RESERVED_NOT_ZERO, MISALIGNED, OUT_OF_BOUNDS, OVERLAP of an entry
 */
export function* readQcow2Map(index: Qcow2Index, bitmap: Qcow2Bitmap): Plan<ClusterMap> {
  const { problem } = bitmap;
  if (problem !== undefined) throw QdbError.from(problem);
  const { bitmapTableOffset, bitmapTableSize } = bitmap.fields;
  const table = {
    what: "its bitmap table",
    offset: Number(bitmapTableOffset),
    length: bitmapTableSize * BITMAP_TABLE_ENTRY.size,
  };
  const [bytes = new Uint8Array(0)] = yield* read(bitmapTableSize === 0 ? [] : [table]);
  const map = new Qcow2ClusterMap(bitmap, bytes, index.clusterSize);
  validateEntries(map, { ...index.image, owners: [...index.image.owners, table] }, table);
  return map;
}

function validateEntries(map: Qcow2ClusterMap, image: Image, table: ByteRange): void {
  const fail = (cluster: number, code: Problem["code"], message: string): QdbError =>
    new QdbError(code, `bitmap table entry ${cluster}: ${message}`, whereOf(cluster, map, table));
  const offsets = new Float64Array(map.count);
  for (let cluster = 0; cluster < map.count; cluster++) {
    if (map.hasReservedBits(cluster))
      throw fail(cluster, "RESERVED_NOT_ZERO", "bits that must be 0 are set (1-8, 56-63, or bit 0 beside an offset)");
    const offset = map.offset(cluster);
    if (offset === 0) continue;
    const found = placeProblem("the data cluster", { offset, length: map.clusterSize }, image, table);
    if (found !== undefined) throw fail(cluster, found.code, found.message);
    offsets[cluster] = offset;
  }
  const sorted = offsets.slice().sort();
  for (let place = 1; place < sorted.length; place++) {
    const offset = sorted[place] ?? 0;
    if (offset === 0 || offset !== sorted[place - 1]) continue;
    throw fail(
      offsets.lastIndexOf(offset),
      "OVERLAP",
      `the data cluster at ${offset} is that of entry ${offsets.indexOf(offset)} too`,
    );
  }
}

function whereOf(cluster: number, map: Qcow2ClusterMap, table: ByteRange): Problem["where"] {
  return {
    structure: BITMAP_TABLE_ENTRY.name,
    field: "entry",
    offset: table.offset + cluster * BITMAP_TABLE_ENTRY.size,
    bitmap: map.label,
  };
}
