import { struct, u64 } from "@qdb/format/container";
import { DESCRIPTOR_OFFSET_HIGH, descriptorOffset, viewOf } from "@qdb/format/internal";

/**
 * Entry of a bitmap table (qcow2: Bitmap table). Bits 9-55 are the file offset of the data cluster. If they are 0, bit 0 says whether the
 * cluster reads as zeros (0) or as ones (1). All other bits must be 0.
 */
export const BITMAP_TABLE_ENTRY = struct("bitmap table entry", 8, {
  /** Where the data cluster is, or that it reads as zeros or ones. */
  entry: [0, u64],
});

const ONES_BIT = 1;
/** The entry of a bitmap table for a cluster that reads as ones. */
export const ONES_ENTRY = 1n;
const RESERVED_LOW = 0x1fe;

/**
 * A table of u64 entries. They are decoded on access, because a table can have a million of them. In bitmap tables, L1 tables and L2
 * tables, bits 9-55 of an entry are a file offset.
 */
export class OffsetTable {
  readonly count: number;
  readonly #view: DataView;
  readonly #stride: number;

  /** `stride` is the length of an entry in bytes: 8, or 16 in an extended L2 table, of which only the first 8 bytes are used. */
  constructor(bytes: Uint8Array, stride: number = BITMAP_TABLE_ENTRY.size) {
    this.#view = viewOf(bytes);
    this.#stride = stride;
    this.count = Math.floor(bytes.length / stride);
  }

  /** Bits 32-63. */
  high(entry: number): number {
    return this.#view.getUint32(entry * this.#stride);
  }

  /** Bits 0-31. */
  low(entry: number): number {
    return this.#view.getUint32(entry * this.#stride + 4);
  }

  /** The file offset in bits 9-55, in bytes. */
  offset(entry: number): number {
    return descriptorOffset(this.high(entry), this.low(entry));
  }

  /** Whether an entry of a bitmap table without an offset reads as ones. */
  readsAsOnes(entry: number): boolean {
    return (this.low(entry) & ONES_BIT) !== 0;
  }

  /** Whether an entry of a bitmap table has bits set that must be 0. In an entry with an offset, bit 0 must be 0 too. */
  hasReservedBits(entry: number): boolean {
    const low = this.low(entry);
    return (
      this.high(entry) > DESCRIPTOR_OFFSET_HIGH ||
      (low & RESERVED_LOW) !== 0 ||
      ((low & ONES_BIT) !== 0 && this.offset(entry) !== 0)
    );
  }
}
