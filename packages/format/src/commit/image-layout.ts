import type { BitmapShape } from "../bitmap/shape.ts";
import type { StoredBits } from "../bits/store-bits.ts";
import { itemAt } from "../elements.ts";
import { alignUp } from "../layout/numbers.ts";
import { type FileGeometry, geometryOf } from "../open/geometry.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { FileChunk } from "../ports/file-image.ts";
import { type Header, mirrorOffset, sealHeaderArea } from "../records/header.ts";
import { type L1Codec, l1Codec } from "../records/l1.ts";
import type { DataFields } from "./bitmap-writes.ts";
import { encodeHeaderArea, newHeader } from "./encode-header.ts";
import { encodeTable, tableSizeOf } from "./encode-table.ts";
import type { FileContents } from "./file-contents.ts";

/** The table of a bitmap that was stored in a new file: its L1 area. */
export type StoredTable = Pick<StoredBits, "count" | "tableOffset" | "table">;

/** The places of the structures of a new file, in its canonical form, and those of them that refer to the bitmaps (spec §4, Canonical file). */
export class ImageLayout {
  /** How L1 areas are written in the file. */
  readonly codec: L1Codec;
  readonly geometry: FileGeometry;
  readonly #contents: FileContents<BitmapShape>;
  readonly #crc32: Crc32;
  readonly #header: Header;
  readonly #tableOffset: number;
  #end: number;

  /** @throws {QdbError} BAD_FIELD, LIMIT or NOT_SUPPORTED for contents that break a rule of the header or of the length of the table */
  constructor(contents: FileContents<BitmapShape>, crc32: Crc32) {
    this.#contents = contents;
    this.#crc32 = crc32;
    this.#header = newHeader(contents);
    this.geometry = geometryOf(this.#header, contents.form, Number.MAX_SAFE_INTEGER);
    this.codec = l1Codec(contents.form, contents.allOnes, crc32);
    this.#end = this.geometry.floor;
    this.#tableOffset = contents.bitmaps.length === 0 ? 0 : this.allocate(tableSizeOf(contents.bitmaps));
  }

  /** Allocates space behind all that was allocated before. Returns its file offset in bytes. */
  allocate(length: number): number {
    const offset = this.#end;
    this.#end = alignUp(offset + length, this.geometry.clusterSize);
    return offset;
  }

  /** Length of the file in bytes, as far as it is allocated. */
  get length(): number {
    return this.#end;
  }

  /**
   * Encodes the header, the mirror and the bitmap table, in this order. `stored` has the L1 area of each bitmap.
   * @throws {QdbError} BAD_FIELD, DUPLICATE_NAME, DUPLICATE_TYPE, LIMIT or UNSUPPORTED_FEATURE for contents that break a rule
   */
  encode(stored: readonly StoredTable[]): FileChunk[] {
    const { bitmaps, form, extensions } = this.#contents;
    const isFull = form === "full";
    const fields = bitmaps.map(({ bits }, index) => {
      const table = itemAt(stored, index);
      return dataFields(bits, table, isFull && table.count > 0 ? this.#crc32(table.table) : 0);
    });
    const table = encodeTable(bitmaps, fields, this.geometry);
    const header: Header = {
      ...this.#header,
      bitmapsOffset: BigInt(this.#tableOffset),
      bitmapsSize: isFull ? table.length : 0,
      tableChecksum: isFull && table.length > 0 ? this.#crc32(table) : 0,
    };
    const area = encodeHeaderArea(header, form, extensions);
    if (isFull) sealHeaderArea(area, this.#crc32);
    return [
      { offset: 0, bytes: area },
      ...(isFull ? [{ offset: mirrorOffset(this.geometry.clusterSize), bytes: area }] : []),
      ...(table.length > 0 ? [{ offset: this.#tableOffset, bytes: table }] : []),
    ];
  }
}

/** Returns the fields of a table entry that describe the data of a bitmap. */
export function dataFields(
  { granularity, size }: BitmapShape,
  { tableOffset, count }: Pick<StoredTable, "tableOffset" | "count">,
  l1Checksum: number,
): DataFields {
  return { l1TableOffset: BigInt(tableOffset), l1Size: count, granularity, size, l1Checksum };
}
