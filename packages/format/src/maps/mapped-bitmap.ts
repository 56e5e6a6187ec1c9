import { type Problem, QdbError } from "../errors.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import { isOfPlace } from "../open/entry-problems.ts";
import { checkPlace } from "../open/geometry.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { type BitmapEntry, entryProblem } from "../records/bitmap-entry.ts";
import type { ClusterOwners } from "./cluster-owners.ts";
import { validateL1Entry } from "./l1-rules.ts";
import type { QdbClusterMap } from "./qdb-cluster-map.ts";
import type { ReadFailure } from "./read-l1-areas.ts";

/**
 * Why the L1 area of a bitmap cannot be used: the first fault, with what is needed to describe every problem without a new search.
 *
 * - "outside": the area is not inside the file, behind header and mirror
 * - "shared": it shares a cluster with another structure
 * - "unread": it could not be read
 * - "checksum": it does not match its checksum
 * - "entries": it matches, but entries break rules; `first` is the index of the first one
 * - "hit": all entries are good, but a data cluster of a bitmap overlaps the area
 */
export type L1Fault = { readonly owners: ClusterOwners } & (
  | { readonly kind: "outside" | "shared" | "checksum" | "hit" }
  | { readonly kind: "unread"; readonly cause: ReadFailure }
  | { readonly kind: "entries"; readonly first: number }
);

/** The data clusters of a bitmap cannot be used. */
interface DataFault {
  readonly kind: "data";
  readonly problem: Problem;
}

/**
 * A bitmap of the table whose L1 area was read and validated. Of a problem only its kind and place are kept, and it is described when it
 * is asked for: a hostile file has 65,535 bitmaps and a million problems.
 */
export class MappedBitmap {
  readonly entry: BitmapEntry;
  /** The L1 area where it matches its checksum. Its entries can break rules: for bits use `map`. */
  readonly area: QdbClusterMap | undefined;
  readonly #index: QdbIndex;
  #fault: L1Fault | DataFault | undefined;

  /** `area` is undefined if the table entry gives no place for an L1 area, and where the fault is one of the area as a whole. */
  constructor(index: QdbIndex, entry: BitmapEntry, area: QdbClusterMap | undefined, fault?: L1Fault) {
    this.entry = entry;
    this.area = area;
    this.#index = index;
    this.#fault = fault;
  }

  /** What kind of fault the L1 area or the data has; undefined if none is known. The table entry can have problems all the same. */
  get faultKind(): L1Fault["kind"] | "data" | undefined {
    return this.#fault?.kind;
  }

  /** The cluster map; undefined unless the L1 area and all its entries are good. The table entry or the data can have a problem all the same. */
  get map(): QdbClusterMap | undefined {
    return this.#fault === undefined || this.#fault.kind === "data" ? this.area : undefined;
  }

  /** The cluster map of a bitmap whose bits can be used: no problem of it is known. */
  get usableMap(): QdbClusterMap | undefined {
    return this.#fault !== undefined || this.#index.problems.has(this.entry.index) ? undefined : this.area;
  }

  /** The cluster map of a bitmap whose bits are to be used. @throws {QdbError} the bitmap's first problem */
  requireMap(): QdbClusterMap {
    const { usableMap } = this;
    if (usableMap !== undefined) return usableMap;
    const problem = this.findProblem();
    if (problem === undefined) throw new Error("a bitmap without a map has no problem");
    throw QdbError.from(problem);
  }

  /**
   * The first problem of the bitmap, in the order of spec §7: of its table entry, its L1 area, its data as far as that was read. The bits
   * are refused while there is one.
   */
  findProblem(): Problem | undefined {
    const problem = this.#index.problems.get(this.entry.index) ?? firstOf(this.findL1Problems());
    return problem ?? (this.#fault?.kind === "data" ? this.#fault.problem : undefined);
  }

  /** The problem because of which `map` is undefined: the first one of the L1 area, or of the fields of the table entry that give its place. */
  findDamage(): Problem | undefined {
    if (this.map !== undefined) return undefined;
    return firstOf(this.findL1Problems()) ?? this.#index.problems.all(this.entry.index).find(isOfPlace);
  }

  /** Every problem of the L1 area and of its entries, in the order of spec §7. */
  *findL1Problems(): Generator<Problem, void> {
    const problem = this.findAreaProblem();
    if (problem !== undefined) yield problem;
    yield* this.findEntryProblems();
  }

  /** The problem of the L1 area as a whole: of its place, of reading it, or of its checksum. */
  findAreaProblem(): Problem | undefined {
    const { entry } = this;
    switch (this.#fault?.kind) {
      case "outside": {
        let found: Problem | undefined;
        checkPlace(l1Reference(entry, this.#index), this.#index, (problem) => {
          found = problem;
        });
        return found;
      }
      case "shared": {
        const { offset } = l1Reference(entry, this.#index);
        const message = `the L1 area at ${offset} shares a cluster with another structure`;
        return entryProblem(entry, "l1TableOffset", "OVERLAP", message);
      }
      case "unread": {
        const { code, message } = this.#fault.cause;
        return entryProblem(entry, "l1TableOffset", code, `the L1 area cannot be read: ${message}`);
      }
      case "checksum": {
        const message = "the L1 area does not match l1_checksum; qdb check -r makes the whole bitmap dirty";
        return entryProblem(entry, "l1Checksum", "BAD_CHECKSUM", message);
      }
      default:
        return undefined;
    }
  }

  /** The problems of the entries of an L1 area that matches its checksum, and of data clusters that overlap an area. */
  *findEntryProblems(): Generator<Problem, void> {
    const fault = this.#fault;
    if (fault === undefined || fault.kind === "data") return;
    const { area, entry } = this;
    if (area !== undefined && fault.kind === "entries") {
      for (let cluster = fault.first; cluster < area.count; cluster++)
        yield* validateL1Entry(area, cluster, this.#index, fault.owners);
    }
    if (fault.kind === "outside" || !fault.owners.isHit(l1Reference(entry, this.#index).offset)) return;
    yield entryProblem(entry, "l1TableOffset", "OVERLAP", "a data cluster of a bitmap lies over the L1 area");
  }

  /** Adds a problem of the data clusters. Ignored if the bitmap has a fault already. */
  addDataProblem(problem: Problem): void {
    this.#fault ??= { kind: "data", problem };
  }
}

function firstOf(problems: Iterable<Problem>): Problem | undefined {
  for (const problem of problems) return problem;
  return undefined;
}

/** Whether every bitmap has a map. A bitmap without one may own any cluster (spec §5, Files in error). */
export function areAllMapped(mapped: readonly MappedBitmap[]): boolean {
  return mapped.every(({ map }) => map !== undefined);
}
