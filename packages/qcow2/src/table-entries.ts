import { struct, u64 } from "@qdb/format";
import { DESCRIPTOR_OFFSET_HIGH, descriptorOffset, viewOf } from "@qdb/format/internal";

/**
 * An entry of a bitmap table (qcow2: Bitmap table): bits 9-55 the offset of a data cluster; where that is 0, bit 0 tells
 * whether the cluster reads as zeros (0) or ones (1). All other bits are 0.
 */
export const BITMAP_TABLE_ENTRY = struct("bitmap table entry", 8, {
  entry: [0, u64, "where the data cluster is, or that it reads as zeros or ones", "qcow2: Bitmap table"],
});

const ONES_BIT = 1;
const RESERVED_LOW = 0x1fe;

/**
 * The entries of a table of u64, each decoded when it is looked at: a table may have a million of them. In bitmap tables, L1
 * tables and L2 tables alike bits 9-55 of an entry are a file offset.
 */
export class TableEntries {
  readonly count: number;
  readonly #view: DataView;
  readonly #stride: number;

  /** `stride` is the distance of two entries in bytes: 8, or 16 in an extended L2 table, where the first 8 are looked at. */
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

  /** Whether an entry of a bitmap table that has no offset reads as ones. */
  readsAsOnes(entry: number): boolean {
    return (this.low(entry) & ONES_BIT) !== 0;
  }

  /** Whether bits of an entry of a bitmap table are set that must be 0; bit 0 is one of them beside an offset. */
  hasReservedBits(entry: number): boolean {
    const low = this.low(entry);
    return (
      this.high(entry) > DESCRIPTOR_OFFSET_HIGH ||
      (low & RESERVED_LOW) !== 0 ||
      ((low & ONES_BIT) !== 0 && this.offset(entry) !== 0)
    );
  }
}
