// The hook by which a host refuses bits: `@qdb/io-node` compares the disk of a bitmap with its stamp.
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import type { Tlv } from "../records/tlv.ts";

/** A bitmap whose bits were asked for. */
export interface RequestedBitmap {
  /** Name of the bitmap for messages: text, or `hex:` and the bytes of a name that is not UTF-8. */
  readonly label: string;
  /** Its extra-data records (spec §3); undefined if they cannot be parsed. */
  readonly records: readonly Tlv[] | undefined;
}

/** Whether bits are given out, as decided by the host. */
export interface BitsOptions {
  /**
   * Called before a call gives out bits of a bitmap, after all other rules of the bitmap were checked (QDB-ERR-025). It throws a QdbError
   * to refuse the bits. It is not called for facts about a file: `count` of all bitmaps, `check` and `dump`.
   */
  readonly beforeBits?: ((bitmap: RequestedBitmap) => void | PromiseLike<void>) | undefined;
}

/** Calls the hook of the options for a bitmap of the table. @throws {unknown} what the hook throws */
export async function askBeforeBits({ beforeBits }: BitsOptions, entry: BitmapEntry): Promise<void> {
  await beforeBits?.({ label: entry.label, records: entry.parseRecords() });
}
