import { windows } from "../bits/cluster-windows.ts";
import type { BitOptions } from "../bits/read-bits.ts";
import { hasTail, readClusters } from "../bits/stored-clusters.ts";
import { QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import type { LoadedMaps, MappedBitmap } from "../maps/load-maps.ts";
import type { QdbClusterMap } from "../maps/qdb-cluster-map.ts";
import { isPlaceProblem } from "../open/entry-problems.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { mapPut, type Plan, put } from "../ports/plan.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { checkEntry, nameTwins } from "./check-records.ts";
import { type Finding, finding, findingOf } from "./findings.ts";

/** A finding with the place in the table of the bitmap that it is about; undefined where it is about none. */
export interface Located {
  readonly finding: Finding;
  readonly position?: number;
}

/** How the bitmaps of a file are checked. */
export interface BitmapCheckOptions {
  /** Nothing can be repaired: a writer refuses the file. */
  readonly refused: boolean;
  /** Findings of data clusters are kept, so that all can be gone through again; each has cost more bytes read than it takes. */
  readonly keep: boolean;
}

/**
 * The findings of table entries and of what they lead to. What table and L1 areas tell is found again whenever it is asked for: a
 * million findings are held nowhere.
 */
export class BitmapCheck {
  readonly #index: QdbIndex;
  readonly #maps: LoadedMaps;
  readonly #options: BitmapCheckOptions;
  /** Of each bitmap, by its place, what was found in its data. */
  readonly #data = new Map<number, Finding[]>();

  constructor(index: QdbIndex, maps: LoadedMaps, options: BitmapCheckOptions) {
    this.#index = index;
    this.#maps = maps;
    this.#options = options;
  }

  /** Looks at everything, at the data last; gives the bitmaps. */
  *run(onProgress: BitOptions["onProgress"]): Plan<readonly MappedBitmap[], Located> {
    for (const located of this.#known()) yield* put(located);
    const mapped = this.#maps.bitmaps();
    const total = mapped.reduce((sum, { map }) => sum + (map?.bitCount ?? 0), 0);
    let before = 0;
    for (const { entry, map, area } of mapped) {
      for (const found of this.#padding(entry, area)) yield* put(found);
      if (map === undefined) continue;
      const progress = (bits: number): void => onProgress?.(before + bits, total);
      yield* mapPut(checkData(map, progress), (found) => this.#keep(this.#said(found, entry)));
      before += map.bitCount;
    }
    return mapped;
  }

  /** All findings once more, in the same order, once everything was looked at; those of data only where they were kept. */
  *findings(): Generator<Located, void> {
    yield* this.#known();
    for (const [position, entry] of this.#index.table.entries.entries()) {
      yield* this.#padding(entry, this.#maps.area(position, entry));
      for (const found of this.#data.get(position) ?? []) yield { finding: found, position };
    }
  }

  /** Those of the bitmap at a place; names that look the same are not of one bitmap. */
  *findingsOf(position: number): Generator<Finding, void> {
    const entry = this.#index.table.entries[position];
    if (entry === undefined) return;
    for (const located of this.#entryProblems(entry)) yield located.finding;
    for (const located of this.#records(entry)) yield located.finding;
    for (const problem of this.#maps.problemsOf(position, entry))
      yield this.#said(findingOf(problem, true), entry).finding;
    for (const located of this.#padding(entry, this.#maps.area(position, entry))) yield located.finding;
    yield* this.#data.get(position) ?? [];
  }

  /** What needs no data. */
  *#known(): Generator<Located, void> {
    const { entries } = this.#index.table;
    for (const entry of entries) yield* this.#entryProblems(entry);
    for (const entry of entries) yield* this.#records(entry);
    for (const found of nameTwins(entries)) yield { finding: this.#refused(found) };
    for (const { entry, problem } of this.#maps.problems()) yield this.#said(findingOf(problem, true), entry);
  }

  *#entryProblems(entry: BitmapEntry): Generator<Located, void> {
    for (const problem of this.#index.problems.all(entry.index))
      yield this.#said(findingOf(problem, isPlaceProblem(problem)), entry);
  }

  *#records(entry: BitmapEntry): Generator<Located, void> {
    for (const found of checkEntry(entry)) yield this.#said(found, entry);
  }

  *#padding(entry: BitmapEntry, map: QdbClusterMap | undefined): Generator<Located, void> {
    if (map === undefined || isZero(map.area.padding)) return;
    const offset = map.areaOffset + map.area.bytes.length - map.area.padding.length;
    const where = { structure: "L1 area", offset, bitmap: map.label };
    yield this.#said(finding("PADDING", "noncanonical", "the padding of the L1 area is not zero", where), entry);
  }

  #keep(located: Located): Located {
    const { finding: found, position } = located;
    if (this.#options.keep && position !== undefined) {
      const kept = this.#data.get(position);
      if (kept === undefined) this.#data.set(position, [found]);
      else kept.push(found);
    }
    return located;
  }

  #said(found: Finding, entry: BitmapEntry): Located {
    const stays = this.#index.problems.isBeyondRepair(entry.index);
    return { finding: this.#refused(stays ? { ...found, repairable: false } : found), position: entry.index };
  }

  #refused(found: Finding): Finding {
    return this.#options.refused ? { ...found, repairable: false } : found;
  }
}

function* checkData(map: QdbClusterMap, progress: (bits: number) => void): Plan<void, Finding> {
  for (const window of windows(map)) {
    for (const [cluster, bytes] of yield* readClusters(map, window)) {
      const offset = map.offset(cluster);
      const where = { structure: "data cluster", offset, bitmap: map.label };
      if (bytes instanceof QdbError) {
        yield* put(
          findingOf({ code: bytes.code, message: `the data cluster cannot be read: ${bytes.message}`, where }, true),
        );
        continue;
      }
      const problem = map.verify(cluster, bytes);
      if (problem !== undefined) yield* put(findingOf(problem, true));
      else if (hasTail(map, cluster, bytes)) {
        yield* put(finding("TAIL", "noncanonical", "the data cluster is not zero behind the bitmap's last bit", where));
      }
    }
    progress(window.endBit);
  }
}
