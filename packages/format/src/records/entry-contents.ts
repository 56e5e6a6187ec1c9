import type { Tlv } from "./tlv.ts";

/**
 * The part of a table entry that the user of the library chooses. The other fields describe where the data of the bitmap is stored, and are
 * set when it is stored.
 */
export interface EntryContents {
  /** UTF-8 bytes of the name. */
  readonly nameBytes: Uint8Array;
  readonly flags: number;
  /** Extra-data records, in the order in which they are written. */
  readonly extraData: readonly Tlv[];
}
