import { itemAt } from "../elements.ts";
import type { Problem, Report } from "../errors.ts";
import { type BitmapEntry, type EntryFields, entryProblem } from "../records/bitmap-entry.ts";
import { type FlaggedRecords, isBitmapName } from "../records/extra-data.ts";
import { inUseMessage } from "../records/in-use.ts";
import { validateEntry } from "../records/validate-entry.ts";
import { l1Reference } from "./bitmap-table.ts";
import { checkAligned, type FileGeometry } from "./geometry.ts";
import { NameLookup } from "./name-lookup.ts";

/** A problem, and the table entry of the bitmap that has it. */
export interface BitmapProblem {
  readonly entry: BitmapEntry;
  readonly problem: Problem;
}

/** Applies the rules of table entries, in the order of spec §7. The contents of L1 areas are validated in maps/. */
export class EntryRules {
  readonly #entries: readonly BitmapEntry[];
  readonly #geometry: FileGeometry;
  readonly #names: NameLookup;

  constructor(entries: readonly BitmapEntry[], geometry: FileGeometry) {
    this.#entries = entries;
    this.#geometry = geometry;
    this.#names = new NameLookup(entries);
  }

  /**
   * Validates an entry of the table, and reports all its problems in the order of spec §7.
   * Reports BAD_FIELD, DUPLICATE_NAME, DUPLICATE_TYPE, UNSUPPORTED_FEATURE, RESERVED_NOT_ZERO, LIMIT, MISALIGNED, INCONSISTENT.
   */
  validate(entry: BitmapEntry, report: Report): void {
    const { clusterSize, form } = this.#geometry;
    const doubleName = this.#names.isDuplicate(entry.index);
    const fields = entry.decodeFields();
    const flagged = validateEntry(entry, fields, { clusterSize, draft: form === "draft", doubleName }, report);
    this.#validateL1Value(entry, fields, report);
    this.#validateFrozen(entry, flagged, report);
    if (entry.has("in_use")) {
      report(entryProblem(entry, "flags", "INCONSISTENT", inUseMessage(flagged?.hasSession === true)));
    } else if (flagged?.hasSession === true) {
      const message = "it has a session, but in_use is not set; mark everything dirty, or remove the bitmap";
      report(entryProblem(entry, "flags", "BAD_FIELD", message));
    }
  }

  #validateL1Value(entry: BitmapEntry, { l1TableOffset, l1Size }: EntryFields, report: Report): void {
    if ((l1TableOffset === 0n) !== (l1Size === 0)) {
      const message = `l1_table_offset is ${l1TableOffset}, but l1_size is ${l1Size}: it is 0 exactly when there is no L1 entry`;
      report(entryProblem(entry, "l1TableOffset", "BAD_FIELD", message));
    } else if (l1Size !== 0) {
      checkAligned(l1Reference(entry, this.#geometry), this.#geometry, report);
    }
  }

  /** `flagged` is undefined if the extra data is in error, which was reported; the name of the successor is then unknown. */
  #validateFrozen(entry: BitmapEntry, flagged: FlaggedRecords | undefined, report: Report): void {
    const bad = (message: string): void => report(entryProblem(entry, "flags", "BAD_FIELD", message));
    if (!entry.has("frozen")) {
      if (flagged?.successor !== undefined) bad("a successor is named, but the bitmap is not frozen");
      return;
    }
    if (entry.has("enabled")) bad("the bitmap is frozen and enabled at once");
    if (flagged === undefined) return;
    const problem =
      flagged.successor === undefined
        ? "the bitmap is frozen, but names no successor"
        : this.#wrongSuccessor(entry, flagged.successor);
    if (problem !== undefined) bad(problem);
  }

  /** Returns why the bitmap with a name is no valid successor of `entry`; undefined if it is one. */
  #wrongSuccessor(entry: BitmapEntry, name: Uint8Array): string | undefined {
    if (!isBitmapName(name)) return "the successor's name is no name of a bitmap";
    const index = this.#names.first(name);
    if (index === undefined) return "no bitmap has the name of its successor; exactly one other must";
    const successor = itemAt(this.#entries, index);
    if (successor === entry) return "the bitmap itself has the name of its successor; exactly one other must";
    if (this.#names.isDuplicate(index)) return "several bitmaps have the name of its successor; exactly one other must";
    if (successor.has("frozen")) return "its successor is frozen too";
    const { size } = entry.decodeFields();
    const covered = successor.decodeFields().size;
    return covered === size ? undefined : `its successor covers ${covered} bytes, not ${size}`;
  }
}

/** Validates all entries of a table, and yields their problems in the order of the table. */
export function* validateEntries(
  entries: readonly BitmapEntry[],
  geometry: FileGeometry,
): Generator<BitmapProblem, void> {
  const rules = new EntryRules(entries, geometry);
  for (const entry of entries) {
    const found: Problem[] = [];
    rules.validate(entry, (problem) => found.push(problem));
    for (const problem of found) yield { entry, problem };
  }
}
