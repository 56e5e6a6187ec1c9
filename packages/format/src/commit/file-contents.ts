import type { Bitmap } from "../bitmap/bitmap.ts";
import type { Form } from "../records/header.ts";
import type { Tlv } from "../records/tlv.ts";
import type { EntryContents } from "./bitmap-change.ts";

/** A bitmap to be written. The rules of its entry (spec §3) are checked when the file is made. */
export interface BitmapContents extends EntryContents {
  /** Size, granularity and bits. */
  readonly bits: Bitmap;
}

/** The contents of a whole file, which `writeImage` encodes. */
export interface FileContents {
  readonly form: Form;
  /** log2 of the cluster size in bytes. */
  readonly clusterBits: number;
  /** 16 bytes; not used for a draft. */
  readonly fileId: Uint8Array;
  /** 16 bytes; not used for a draft. */
  readonly writerId: Uint8Array;
  /** Whether the file uses all-ones clusters (incompatible bit 0); never in draft form. */
  readonly allOnes: boolean;
  /** Header extensions. A feature name table among them is left out: the writer makes its own. */
  readonly extensions: readonly Tlv[];
  readonly bitmaps: readonly BitmapContents[];
}
