import type { Problem } from "../errors.ts";
import { BITMAP_ENTRY, type BitmapEntry } from "../records/bitmap-entry.ts";
import { EntryRules } from "./entry-rules.ts";
import type { FileGeometry } from "./geometry.ts";

const BROKEN = 1;
const UNPLACED = 2;
const BEYOND_REPAIR = 4;
const UNSIZED = 8;

const PLACE_FIELDS: ReadonlySet<string | undefined> = new Set(["l1_size", "l1_table_offset", "granularity", "size"]);

/** Whether a problem of an entry leaves open where its L1 area is, or how long. */
export function isOfPlace({ where }: Problem): boolean {
  return PLACE_FIELDS.has(where.field);
}

/**
 * Which bitmaps of a table have problems, by their place in it, before any L1 area is read; such a bitmap is listed, its bits are
 * refused. One byte a bitmap is kept, and a problem is found again where it is asked for: all of a hostile file's would fill memory.
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

  /** Whether the bitmap at a place has a problem. */
  has(position: number): boolean {
    return this.#is(position, BROKEN);
  }

  /** The first problem of the bitmap at a place. */
  get(position: number): Problem | undefined {
    return this.has(position) ? this.all(position)[0] : undefined;
  }

  /** Every problem of the bitmap at a place, in the order of spec §7. */
  all(position: number): readonly Problem[] {
    const entry = this.#entries[position];
    const found: Problem[] = [];
    if (entry !== undefined && this.has(position)) this.#rules.validate(entry, (problem) => found.push(problem));
    return found;
  }

  /** Whether its L1 area has no known length or place: granularity, size, l1_size or l1_table_offset is in error. */
  isUnplaced(position: number): boolean {
    return this.#is(position, UNPLACED);
  }

  /** Whether its L1 area has no known length; a place that is only misaligned leaves it known. */
  isUnsized(position: number): boolean {
    return this.#is(position, UNSIZED);
  }

  /** Whether it breaks a rule which making it dirty does not mend: a repair leaves it byte for byte. */
  isBeyondRepair(position: number): boolean {
    return this.#is(position, BEYOND_REPAIR);
  }

  #is(position: number, flag: number): boolean {
    return ((this.#flags[position] ?? 0) & flag) !== 0;
  }
}

/** Whether a problem of a table entry is only about where its L1 area is: making the whole bitmap dirty puts that right. */
export function isPlaceProblem(problem: Problem): boolean {
  const { structure, field } = problem.where;
  return (
    structure === BITMAP_ENTRY.name && (field === "l1_size" || field === "l1_table_offset" || field === "l1_checksum")
  );
}
