// The hook by which a host can refuse to give out bits: `@qdb/io-node` uses it to compare the disk of a bitmap with the disk stamp.
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import type { Tlv } from "../records/tlv.ts";

/** A bitmap whose bits a caller has asked for. */
export interface RequestedBitmap {
  /** Name of the bitmap for messages; if the name is not UTF-8, `hex:` and its bytes in hex. */
  readonly label: string;
  /** The extra-data records of the bitmap (spec §3); undefined if they cannot be parsed. */
  readonly records: readonly Tlv[] | undefined;
}

/** Options by which the host decides whether bits are given out. */
export interface BitsOptions {
  /**
   * Called before a call gives out bits of a bitmap, after all other rules of the bitmap were checked (QDB-ERR-025). To refuse the bits, it
   * throws a QdbError. It is not called by calls that only say what is in a file: `countAll`, `checkQdb` and `dumpQdb`.
   */
  readonly beforeBits?: ((bitmap: RequestedBitmap) => void | PromiseLike<void>) | undefined;
}

/** Calls `beforeBits`, if there is one, for the bitmap of a table entry. @throws {unknown} what `beforeBits` throws */
export function askBeforeBits({ beforeBits }: BitsOptions, entry: BitmapEntry): void | PromiseLike<void> {
  return beforeBits?.({ label: entry.label, records: entry.parseRecords() });
}
