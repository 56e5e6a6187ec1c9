import type { BitmapCheck, Located } from "./check-bitmaps.ts";
import type { Finding } from "./findings.ts";

/** What a check of a file came upon, so that its findings can be gone through again without another read (spec §7.4). */
export class SeenFile {
  /** Findings of the header. */
  heads: readonly Finding[] = [];
  /** Undefined where the table could not be walked. */
  bitmaps: BitmapCheck | undefined;
  /** What ended the check, or lies behind everything. */
  ends: readonly Finding[] = [];

  /** All findings, in the order in which the check put them out. */
  *findings(): Generator<Located, void> {
    for (const finding of this.heads) yield { finding };
    if (this.bitmaps !== undefined) yield* this.bitmaps.findings();
    for (const finding of this.ends) yield { finding };
  }
}
