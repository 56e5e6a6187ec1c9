// How qcow2 writes the table of a bitmap: the codec with which `storeBits` of @qdb/format stores one.
import type { TableBuilder, TableCodec } from "@qdb/format/container";
import { viewOf } from "@qdb/format/internal";
import { BITMAP_TABLE_ENTRY, type OffsetTable, ONES_ENTRY } from "../image/offset-table.ts";

/** Builds a bitmap table (qcow2: Bitmap table). @throws {RangeError} if an entry past the last one is set */
export class BitmapTableBuilder implements TableBuilder {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  /** `count` is the number of entries. All of them are zeros at first. */
  constructor(count: number) {
    this.bytes = new Uint8Array(count * BITMAP_TABLE_ENTRY.size);
    this.#view = viewOf(this.bytes);
  }

  setZeros(cluster: number): void {
    this.#view.setBigUint64(cluster * BITMAP_TABLE_ENTRY.size, 0n);
  }

  setOnes(cluster: number): void {
    this.#view.setBigUint64(cluster * BITMAP_TABLE_ENTRY.size, ONES_ENTRY);
  }

  setData(cluster: number, offset: number): void {
    this.#view.setBigUint64(cluster * BITMAP_TABLE_ENTRY.size, BigInt(offset));
  }

  /** Sets the entries [first, end) to those of another table. */
  copy(table: OffsetTable, first: number, end: number): void {
    for (let cluster = first; cluster < end; cluster++) this.setData(cluster, table.offset(cluster));
  }
}

/**
 * The codec of bitmap tables. qcow2 has no checksums. QEMU reads entries of all ones, although it writes none; in a cluster that the bitmap
 * does not fill it would take the bits after the last one for dirty too, so that such a cluster is stored.
 */
export const BITMAP_TABLE_CODEC: TableCodec<BitmapTableBuilder> = {
  allOnes: "whole",
  checksum: () => 0,
  builder: (count) => new BitmapTableBuilder(count),
};
