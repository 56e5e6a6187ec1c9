import type { FileFindings } from "./file-findings.ts";
import type { Finding } from "./findings.ts";

/** A finding of the check before a repair, or of the check after it. */
export interface RepairFinding {
  readonly finding: Finding;
  /** Whether the repair removed the finding. */
  readonly repaired: boolean;
}

/** Returns a key that is the same before and after a repair. It does not include the file offset, since a commit moves structures. */
function keyOf({ code, where }: Finding): string {
  return JSON.stringify([code, where.structure, where.field, where.bitmap]);
}

/** The keys of the findings of a file. To save memory, the keys of only one bitmap are kept: of the one that was looked up last. */
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

/** The findings of the checks before and after a repair. They are computed again each time they are listed, to save memory. */
export class RepairFindings {
  readonly #before: FileFindings;
  readonly #after: FileFindings;

  /** `before` and `after` are the same object if nothing was repaired. */
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

  /** Yields the findings of the check before the repair, then those that only the check after the repair has. None is kept in memory. */
  *findings(): Generator<RepairFinding, void> {
    const before = this.#before;
    const after = this.#after;
    const left = new FindingKeys(after);
    // If the bitmaps could not be checked after the repair, no finding counts as repaired.
    const isCheckedAgain = after.bitmaps !== undefined || before.bitmaps === undefined;
    for (const { finding, entryIndex } of before.list()) {
      // A repair does not change names, so that NAME_TWINS remains. It does not change the order of bitmaps either, so that indices remain.
      const repaired = isCheckedAgain && finding.code !== "NAME_TWINS" && !left.has(finding, entryIndex);
      yield { finding, repaired };
    }
    if (before === after) return;
    const known = new FindingKeys(before);
    for (const { finding, entryIndex } of after.list())
      if (finding.code !== "NAME_TWINS" && !known.has(finding, entryIndex)) yield { finding, repaired: false };
  }
}
