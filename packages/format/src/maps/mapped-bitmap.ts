import type { BitmapShape } from "../bitmap/shape.ts";
import { type Problem, QdbError } from "../errors.ts";
import { equalBytes } from "../layout/bytes.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import { isOfPlace } from "../open/entry-problems.ts";
import { checkPlace } from "../open/geometry.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { type BitmapEntry, entryProblem } from "../records/bitmap-entry.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import type { ClusterOwners } from "./cluster-owners.ts";
import { validateL1Entry } from "./l1-rules.ts";
import type { QdbClusterMap } from "./qdb-cluster-map.ts";
import type { ReadFailure } from "./read-l1-areas.ts";

/**
 * The first fault of an L1 area: the reason why it cannot be used. It holds what is needed to describe all problems of the L1 area later.
 *
 * - "outside": the L1 area is not inside the file, or is in the header or the mirror
 * - "shared": it shares a cluster with the bitmap table or with another L1 area
 * - "unread": it cannot be read
 * - "checksum": it does not match its checksum
 * - "entries": it matches its checksum, but L1 entries break rules; `first` is the index of the first of them
 * - "hit": all its entries keep the rules, but a data cluster overlaps the L1 area
 */
export type L1Fault = { readonly owners: ClusterOwners } & (
  | { readonly kind: "outside" | "shared" | "checksum" | "hit" }
  | { readonly kind: "unread"; readonly cause: ReadFailure }
  | { readonly kind: "entries"; readonly first: number }
);

/** A fault of the data of a bitmap: a data cluster is damaged or cannot be read. */
interface DataFault {
  readonly kind: "data";
  readonly problem: Problem;
}

/**
 * A bitmap of the table after its L1 area was read and validated. Only the first fault is kept; problems are described each time they are
 * asked for, since a hostile file can have 65,535 bitmaps and a million problems.
 */
export class MappedBitmap {
  readonly entry: BitmapEntry;
  /** The L1 area if it matches its checksum; otherwise undefined. Its entries can break rules, so that bits are read through `map` only. */
  readonly area: QdbClusterMap | undefined;
  readonly #index: QdbIndex;
  #fault: L1Fault | DataFault | undefined;

  /**
   * `area` is undefined if the table entry gives no valid offset and length of an L1 area, or if the fault is one of the L1 area as a
   * whole.
   */
  constructor(index: QdbIndex, entry: BitmapEntry, area: QdbClusterMap | undefined, fault?: L1Fault) {
    this.entry = entry;
    this.area = area;
    this.#index = index;
    this.#fault = fault;
  }

  /** The kind of the fault of the L1 area or of the data; undefined if none was found. The table entry can have problems in either case. */
  get faultKind(): L1Fault["kind"] | "data" | undefined {
    return this.#fault?.kind;
  }

  /**
   * The cluster map; undefined if the L1 area or one of its entries has a problem. The table entry and the data can have problems in either
   * case.
   */
  get map(): QdbClusterMap | undefined {
    return this.#fault === undefined || this.#fault.kind === "data" ? this.area : undefined;
  }

  /** The cluster map if the bits can be used; undefined if a problem of the table entry, the L1 area or the data was found. */
  get usableMap(): QdbClusterMap | undefined {
    return this.#fault !== undefined || this.#index.problems.has(this.entry.index) ? undefined : this.area;
  }

  /** Returns the cluster map. @throws {QdbError} the code of the bitmap's first problem, if its bits cannot be used */
  requireMap(): QdbClusterMap {
    const { usableMap } = this;
    if (usableMap !== undefined) return usableMap;
    const problem = this.findProblem();
    if (problem === undefined) throw new Error("a bitmap without a map has no problem");
    throw QdbError.from(problem);
  }

  /**
   * Returns the first problem of the bitmap, in the order of spec §7: of its table entry, of its L1 area, then of the data that was read so
   * far. The bits cannot be used if there is a problem.
   */
  findProblem(): Problem | undefined {
    const problem = this.#index.problems.get(this.entry.index) ?? firstOf(this.findL1Problems());
    return problem ?? (this.#fault?.kind === "data" ? this.#fault.problem : undefined);
  }

  /**
   * Returns the problem because of which `map` is undefined: the first problem of the L1 area, or else of the fields of the table entry
   * that give the place of the L1 area.
   */
  findDamage(): Problem | undefined {
    if (this.map !== undefined) return undefined;
    return firstOf(this.findL1Problems()) ?? this.#index.problems.all(this.entry.index).find(isOfPlace);
  }

  /** Yields every problem of the L1 area and of its entries, in the order of spec §7. */
  *findL1Problems(): Generator<Problem, void> {
    const problem = this.findAreaProblem();
    if (problem !== undefined) yield problem;
    yield* this.findEntryProblems();
  }

  /** Returns the problem of the L1 area as a whole: of its range in the file, of reading it, or of its checksum; undefined if there is none. */
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

  /**
   * Yields the problems of the L1 entries, if the L1 area matches its checksum. Then yields OVERLAP if a data cluster, of this bitmap or of
   * another, overlaps the L1 area of this bitmap.
   */
  *findEntryProblems(): Generator<Problem, void> {
    const fault = this.#fault;
    if (fault === undefined || fault.kind === "data") return;
    const { area, entry } = this;
    if (area !== undefined && fault.kind === "entries") {
      for (let cluster = fault.first; cluster < area.count; cluster++)
        yield* validateL1Entry(area, cluster, this.#index, fault.owners);
    }
    if (fault.kind === "outside" || !fault.owners.isOverlapped(l1Reference(entry, this.#index).offset)) return;
    yield entryProblem(entry, "l1TableOffset", "OVERLAP", "a data cluster of a bitmap lies over the L1 area");
  }

  /** The name for messages: `hex:` and its bytes if it is not UTF-8. */
  get label(): string {
    return this.entry.label;
  }

  /** The name; undefined if it is not UTF-8. */
  get name(): string | undefined {
    return this.entry.name;
  }

  get shape(): BitmapShape {
    const { size, granularity } = this.entry.decodeFields();
    return { size, granularity };
  }

  /** Returns name, flags and records; undefined if the records cannot be parsed: then the entry can only be copied or removed. */
  parseEntry(): EntryContents | undefined {
    const records = this.entry.parseRecords();
    if (records === undefined) return undefined;
    return { nameBytes: this.entry.nameBytes, flags: this.entry.decodeFields().flags, extraData: records };
  }

  /** Whether the entry has these contents, so that its bytes can be copied. An entry whose reserved bytes are not zero is not copied (QDB-TBL-008). */
  hasEntry({ nameBytes, flags, extraData }: EntryContents): boolean {
    const fields = this.entry.decodeFields();
    const records = this.entry.parseRecords();
    return (
      fields.flags === flags &&
      fields.reserved === 0 &&
      equalBytes(this.entry.nameBytes, nameBytes) &&
      records?.length === extraData.length &&
      extraData.every((record, at) => record.type === records[at]?.type && equalBytes(record.data, records[at].data))
    );
  }

  /**
   * Returns the damage for which a rewrite of the file makes the bitmap all dirty. Undefined if its bits can be read, if a read failed that
   * may succeed later, and if the entry would still be in error with all bits dirty.
   */
  findDoubt(): Problem | undefined {
    const damage = this.findDamage();
    if (damage === undefined || this.#index.problems.isBeyondRepair(this.entry.index)) return undefined;
    return damage.code === "IO" || damage.code === "SHORT_READ" ? undefined : damage;
  }

  /** Records a problem of a data cluster as the bitmap's fault. Does nothing if the bitmap has a fault already. */
  addDataProblem(problem: Problem): void {
    this.#fault ??= { kind: "data", problem };
  }
}

function firstOf(problems: Iterable<Problem>): Problem | undefined {
  for (const problem of problems) return problem;
  return undefined;
}

/** Whether every bitmap has a cluster map. A bitmap without a cluster map may own any cluster of the file (spec §5, Files in error). */
export function areAllMapped(mapped: readonly MappedBitmap[]): boolean {
  return mapped.every(({ map }) => map !== undefined);
}
