import { byteAt, itemAt } from "../elements.ts";
import type { Problem } from "../errors.ts";
import { BITMAP_ENTRY, type BitmapEntry } from "../records/bitmap-entry.ts";
import { EntryRules } from "./entry-rules.ts";
import type { FileGeometry } from "./geometry.ts";

/** Flags that are kept for an entry: what `has`, `isUnplaced`, `isBeyondRepair` and `isUnsized` return. */
const BROKEN = 1;
const UNPLACED = 2;
const BEYOND_REPAIR = 4;
const UNSIZED = 8;

const PLACE_FIELDS: ReadonlySet<string | undefined> = new Set(["l1_size", "l1_table_offset", "granularity", "size"]);

/** Whether a problem of a table entry means that the offset or the length of its L1 area is unknown. */
export function isOfPlace({ where }: Problem): boolean {
  return PLACE_FIELDS.has(where.field);
}

/**
 * The problems of the entries of a bitmap table. A bitmap with a problem is listed, but its bits cannot be used. Only one byte is kept for
 * each entry, and problems are computed again when they are asked for, since the problems of a hostile file would fill the memory.
 */
export class EntryProblems {
  readonly #entries: readonly BitmapEntry[];
  readonly #rules: EntryRules;
  readonly #flags: Uint8Array;

  constructor(entries: readonly BitmapEntry[], geometry: FileGeometry) {
    this.#entries = entries;
    this.#rules = new EntryRules(entries, geometry);
    this.#flags = new Uint8Array(entries.length);
    for (const entry of entries) {
      let flags = 0;
      this.#rules.validate(entry, (problem) => {
        flags |= BROKEN;
        if (isOfPlace(problem)) flags |= problem.code === "MISALIGNED" ? UNPLACED : UNPLACED | UNSIZED;
        if (problem.code !== "INCONSISTENT" && !isPlaceProblem(problem)) flags |= BEYOND_REPAIR;
      });
      this.#flags[entry.index] = flags;
    }
  }

  /**
   * Whether the entry at an index of the table has a problem.
   * @throws {RangeError} if the table has no entry at the index. The other methods throw this too
   */
  has(index: number): boolean {
    return this.#is(index, BROKEN);
  }

  /** Returns the first problem of an entry, in the order of spec §7; undefined if the entry has no problem. */
  get(index: number): Problem | undefined {
    return this.has(index) ? this.all(index)[0] : undefined;
  }

  /** Returns all problems of an entry, in the order of spec §7. */
  all(index: number): readonly Problem[] {
    const found: Problem[] = [];
    if (this.has(index)) this.#rules.validate(itemAt(this.#entries, index), (problem) => found.push(problem));
    return found;
  }

  /** Whether the offset or the length of an entry's L1 area is unknown: its granularity, size, l1_size or l1_table_offset breaks a rule. */
  isUnplaced(index: number): boolean {
    return this.#is(index, UNPLACED);
  }

  /** Whether the length of an entry's L1 area is unknown. If l1_table_offset is only misaligned, the length is known. */
  isUnsized(index: number): boolean {
    return this.#is(index, UNSIZED);
  }

  /**
   * Whether an entry has a problem, other than INCONSISTENT, that it would still have if all its bits were dirty. A repair copies such an
   * entry byte for byte.
   */
  isBeyondRepair(index: number): boolean {
    return this.#is(index, BEYOND_REPAIR);
  }

  #is(index: number, flag: number): boolean {
    return (byteAt(this.#flags, index) & flag) !== 0;
  }
}

/** Whether a problem of a table entry concerns its L1 area only. A repair that makes the whole bitmap dirty removes such a problem. */
export function isPlaceProblem(problem: Problem): boolean {
  const { structure, field } = problem.where;
  return (
    structure === BITMAP_ENTRY.name && (field === "l1_size" || field === "l1_table_offset" || field === "l1_checksum")
  );
}
