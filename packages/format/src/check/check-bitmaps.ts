import type { BitOptions } from "../bits/read-bits.ts";
import { Scratch } from "../bits/scratch.ts";
import { itemAt } from "../elements.ts";
import { isZero } from "../layout/bytes.ts";
import { l1ProblemsOf } from "../maps/load-maps.ts";
import type { MappedBitmap } from "../maps/mapped-bitmap.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { isPlaceProblem } from "../open/entry-problems.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { mapPut, type Plan, put } from "../ports/plan.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { checkData } from "./check-data.ts";
import { checkEntry, nameTwins } from "./check-records.ts";
import { type Finding, finding, findingOf } from "./findings.ts";

/** A finding and the bitmap that it is about: the index of its table entry, which is undefined if the finding is about no single bitmap. */
export interface LocatedFinding {
  readonly finding: Finding;
  readonly entryIndex?: number;
}

/** Options of {@link BitmapCheck}. */
export interface BitmapCheckOptions {
  /** Whether writers refuse to change the file. No finding is repairable then. */
  readonly refused: boolean;
  /**
   * Whether to keep the findings of data clusters, so that {@link BitmapCheck.listFindings} can list them. A finding takes less memory than
   * the bytes that were read for it.
   */
  readonly keep: boolean;
}

/**
 * Checks the table entries of a file, their L1 areas and their data. Findings about entries and L1 areas are not kept, but computed again
 * each time they are listed, since a damaged file can have a million of them.
 */
export class BitmapCheck {
  readonly #index: QdbIndex;
  readonly #mapped: readonly MappedBitmap[];
  readonly #options: BitmapCheckOptions;
  /** The findings of data clusters, by index of the table entry. */
  readonly #data = new Map<number, Finding[]>();

  /** `mapped` has every bitmap of the table, in the order of the table. */
  constructor(index: QdbIndex, mapped: readonly MappedBitmap[], options: BitmapCheckOptions) {
    this.#index = index;
    this.#mapped = mapped;
    this.#options = options;
  }

  /**
   * Puts out every finding: first those for which no data cluster is read, then those of L1 padding and data clusters, bitmap by bitmap.
   */
  *run(onProgress: BitOptions["onProgress"]): Plan<void, LocatedFinding> {
    for (const located of this.#findBeforeData()) yield* put(located);
    const total = this.#mapped.reduce((sum, { map }) => (map === undefined ? sum : sum + map.bitCount), 0);
    const scratch = new Scratch();
    let before = 0;
    for (const { entry, map, area } of this.#mapped) {
      for (const found of this.#findPadding(entry, area)) yield* put(found);
      if (map === undefined) continue;
      const progress = (bits: number): void => onProgress?.(before + bits, total);
      yield* mapPut(checkData(map, scratch, progress), (found) => this.#keep(this.#locate(found, entry)));
      before += map.bitCount;
    }
  }

  /**
   * Lists the findings that `run` put out, in the same order; call it after `run`. Findings of data clusters are included only if the
   * option `keep` is set.
   */
  *listFindings(): Generator<LocatedFinding, void> {
    yield* this.#findBeforeData();
    for (const { entry, area } of this.#mapped) {
      yield* this.#findPadding(entry, area);
      for (const found of this.#data.get(entry.index) ?? []) yield { finding: found, entryIndex: entry.index };
    }
  }

  /** Lists the findings of one bitmap that `run` put out. NAME_TWINS is left out, since it is a finding of no single bitmap. */
  *listFindingsOf(entryIndex: number): Generator<Finding, void> {
    const bitmap = itemAt(this.#mapped, entryIndex);
    const { entry, area } = bitmap;
    for (const located of this.#findEntryProblems(entry)) yield located.finding;
    for (const located of this.#findInRecords(entry)) yield located.finding;
    for (const problem of bitmap.findL1Problems()) yield this.#locate(findingOf(problem, true), entry).finding;
    for (const located of this.#findPadding(entry, area)) yield located.finding;
    yield* this.#data.get(entryIndex) ?? [];
  }

  /** Lists the findings for which no data cluster is read. */
  *#findBeforeData(): Generator<LocatedFinding, void> {
    const { entries } = this.#index.table;
    for (const entry of entries) yield* this.#findEntryProblems(entry);
    for (const entry of entries) yield* this.#findInRecords(entry);
    for (const found of nameTwins(entries)) yield { finding: this.#ifRepairable(found) };
    for (const { entry, problem } of l1ProblemsOf(this.#mapped)) yield this.#locate(findingOf(problem, true), entry);
  }

  *#findEntryProblems(entry: BitmapEntry): Generator<LocatedFinding, void> {
    for (const problem of this.#index.problems.all(entry.index))
      yield this.#locate(findingOf(problem, isPlaceProblem(problem)), entry);
  }

  *#findInRecords(entry: BitmapEntry): Generator<LocatedFinding, void> {
    for (const found of checkEntry(entry)) yield this.#locate(found, entry);
  }

  *#findPadding(entry: BitmapEntry, map: QdbClusterMap | undefined): Generator<LocatedFinding, void> {
    if (map === undefined || isZero(map.areaPadding)) return;
    const offset = map.areaOffset + map.areaBytes.length - map.areaPadding.length;
    const where = { structure: "L1 area", offset, bitmap: map.label };
    yield this.#locate(finding("PADDING", "noncanonical", "the padding of the L1 area is not zero", where), entry);
  }

  #keep(located: LocatedFinding): LocatedFinding {
    const { finding: found, entryIndex } = located;
    if (this.#options.keep && entryIndex !== undefined) {
      const kept = this.#data.get(entryIndex);
      if (kept === undefined) this.#data.set(entryIndex, [found]);
      else kept.push(found);
    }
    return located;
  }

  /** Adds the index of its bitmap to a finding. Makes the finding not repairable if a repair copies the bitmap as it is. */
  #locate(found: Finding, entry: BitmapEntry): LocatedFinding {
    const stays = this.#index.problems.isBeyondRepair(entry.index);
    return { finding: this.#ifRepairable(stays ? { ...found, repairable: false } : found), entryIndex: entry.index };
  }

  /** Returns a finding, made not repairable if writers refuse the file. */
  #ifRepairable(found: Finding): Finding {
    return this.#options.refused ? { ...found, repairable: false } : found;
  }
}
