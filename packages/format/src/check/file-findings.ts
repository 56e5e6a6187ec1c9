import type { BitmapCheck, LocatedFinding } from "./check-bitmaps.ts";
import type { Finding } from "./findings.ts";

/** The findings of one check of a file. They can be listed after the check, without reading the file again (spec §7.4). */
export class FileFindings {
  /** Findings about the header, its mirror and the header extensions. */
  header: readonly Finding[] = [];
  /** The check of the bitmaps, which lists their findings; undefined if the bitmap table could not be read. */
  bitmaps: BitmapCheck | undefined;
  /** The finding that ended the check early; if none did, the findings about the end of the file. */
  end: readonly Finding[] = [];

  /** Lists all findings, in the order in which the check put them out. */
  *list(): Generator<LocatedFinding, void> {
    for (const finding of this.header) yield { finding };
    if (this.bitmaps !== undefined) yield* this.bitmaps.listFindings();
    for (const finding of this.end) yield { finding };
  }
}
