import type { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import type { Form } from "../records/header.ts";
import type { Tlv } from "../records/tlv.ts";

/** A bitmap to be written to a new file. The rules of its table entry (spec §3) are applied when the file is encoded. */
export interface BitmapContents<B extends BitmapShape = Bitmap> extends EntryContents {
  /** Size, granularity and bits. */
  readonly bits: B;
}

/** The contents of a whole file: the input of `writeImage`; with bits that are not in memory, of `imagePlan`. */
export interface FileContents<B extends BitmapShape = Bitmap> {
  readonly form: Form;
  /** log2 of the cluster size in bytes. */
  readonly clusterBits: number;
  /** 16 bytes; not used for a draft. */
  readonly fileId: Uint8Array;
  /** 16 bytes; not used for a draft. */
  readonly writerId: Uint8Array;
  /** Whether the file uses all-ones clusters (incompatible bit 0). Must be false in draft form. */
  readonly allOnes: boolean;
  /** Header extensions. A feature name table in the list is ignored: `writeImage` writes one with the names of the bits that are set. */
  readonly extensions: readonly Tlv[];
  readonly bitmaps: readonly BitmapContents<B>[];
}
