import type { Finding } from "./findings.ts";
import type { SeenFile } from "./seen-file.ts";

/** What a repair found, and whether it is gone. */
export interface RepairFinding {
  readonly finding: Finding;
  readonly repaired: boolean;
}

/** What tells whether a finding is still there; not its offset, which a commit changes. */
function kindOf({ code, where }: Finding): string {
  return JSON.stringify([code, where.structure, where.field, where.bitmap]);
}

/** The kinds of findings of a file, bitmap by bitmap: those of the bitmap that was asked for last are held. */
class Kinds {
  readonly #seen: SeenFile;
  readonly #ofFile: ReadonlySet<string>;
  #entryIndex: number | undefined;
  #ofBitmap: ReadonlySet<string> = new Set();

  constructor(seen: SeenFile) {
    this.#seen = seen;
    this.#ofFile = new Set([...seen.heads, ...seen.ends].map(kindOf));
  }

  has(finding: Finding, entryIndex: number | undefined): boolean {
    if (entryIndex === undefined) return this.#ofFile.has(kindOf(finding));
    if (entryIndex !== this.#entryIndex) {
      const kinds = new Set<string>();
      for (const found of this.#seen.bitmaps?.findingsOf(entryIndex) ?? []) kinds.add(kindOf(found));
      this.#ofBitmap = kinds;
      this.#entryIndex = entryIndex;
    }
    return this.#ofBitmap.has(kindOf(finding));
  }
}

/** The findings before a repair and after it. They are made from what was read each time that they are asked for. */
export class RepairFindings {
  readonly #before: SeenFile;
  readonly #after: SeenFile;

  /** The same file twice where nothing was repaired. */
  constructor(before: SeenFile, after: SeenFile) {
    this.#before = before;
    this.#after = after;
  }

  /** What was found before, in one array: a damaged file can have a million findings. */
  get before(): readonly Finding[] {
    return Array.from(this.#before.findings(), ({ finding }) => finding);
  }

  /** What is left, in one array. */
  get after(): readonly Finding[] {
    return Array.from(this.#after.findings(), ({ finding }) => finding);
  }

  /** What was found before, each with what has become of it, and then what was found only afterwards; one by one, and none is held. */
  *findings(): Generator<RepairFinding, void> {
    const before = this.#before;
    const after = this.#after;
    const left = new Kinds(after);
    // Nothing is known to be gone where the bitmaps could not be looked at again.
    const isSeen = after.bitmaps !== undefined || before.bitmaps === undefined;
    for (const { finding, entryIndex } of before.findings()) {
      // A repair changes no name and no order of bitmaps.
      const repaired = isSeen && finding.code !== "NAME_TWINS" && !left.has(finding, entryIndex);
      yield { finding, repaired };
    }
    if (before === after) return;
    const known = new Kinds(before);
    for (const { finding, entryIndex } of after.findings())
      if (finding.code !== "NAME_TWINS" && !known.has(finding, entryIndex)) yield { finding, repaired: false };
  }
}
