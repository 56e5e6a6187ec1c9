import type { FileFindings } from "./file-findings.ts";
import type { Finding } from "./findings.ts";

/** A finding of a check before or after a repair. */
export interface RepairFinding {
  readonly finding: Finding;
  /** Whether the repair removed it. */
  readonly repaired: boolean;
}

/** Findings with the same key are the same finding before and after a repair. The file offset is left out, since a commit changes it. */
function keyOf({ code, where }: Finding): string {
  return JSON.stringify([code, where.structure, where.field, where.bitmap]);
}

/** The keys of the findings of a file. Only those of one bitmap are in memory: of the one that was asked for last. */
class FindingKeys {
  readonly #findings: FileFindings;
  readonly #ofFile: ReadonlySet<string>;
  #entryIndex: number | undefined;
  #ofBitmap: ReadonlySet<string> = new Set();

  constructor(findings: FileFindings) {
    this.#findings = findings;
    this.#ofFile = new Set([...findings.header, ...findings.end].map(keyOf));
  }

  has(finding: Finding, entryIndex: number | undefined): boolean {
    if (entryIndex === undefined) return this.#ofFile.has(keyOf(finding));
    if (entryIndex !== this.#entryIndex) {
      const keys = new Set<string>();
      for (const found of this.#findings.bitmaps?.listFindingsOf(entryIndex) ?? []) keys.add(keyOf(found));
      this.#ofBitmap = keys;
      this.#entryIndex = entryIndex;
    }
    return this.#ofBitmap.has(keyOf(finding));
  }
}

/** The findings of the checks before and after a repair. They are derived again each time they are listed, to save memory. */
export class RepairFindings {
  readonly #before: FileFindings;
  readonly #after: FileFindings;

  /** Both are the same object where nothing was repaired. */
  constructor(before: FileFindings, after: FileFindings) {
    this.#before = before;
    this.#after = after;
  }

  /** The findings before the repair, in one array. A damaged file can have a million. */
  get before(): readonly Finding[] {
    return Array.from(this.#before.list(), ({ finding }) => finding);
  }

  /** The findings after the repair, in one array. */
  get after(): readonly Finding[] {
    return Array.from(this.#after.list(), ({ finding }) => finding);
  }

  /** Lists the findings before the repair, and then those that only the check after it found. None is kept in memory. */
  *findings(): Generator<RepairFinding, void> {
    const before = this.#before;
    const after = this.#after;
    const left = new FindingKeys(after);
    // A finding does not count as repaired where the bitmaps could not be checked again.
    const isCheckedAgain = after.bitmaps !== undefined || before.bitmaps === undefined;
    for (const { finding, entryIndex } of before.list()) {
      // A repair does not change names, nor the order of bitmaps.
      const repaired = isCheckedAgain && finding.code !== "NAME_TWINS" && !left.has(finding, entryIndex);
      yield { finding, repaired };
    }
    if (before === after) return;
    const known = new FindingKeys(before);
    for (const { finding, entryIndex } of after.list())
      if (finding.code !== "NAME_TWINS" && !known.has(finding, entryIndex)) yield { finding, repaired: false };
  }
}
