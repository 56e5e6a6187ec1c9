import { type Problem, QdbError } from "../errors.ts";
import { l1Reference } from "../open/bitmap-table.ts";
import { isOfPlace } from "../open/entry-problems.ts";
import type { BitmapProblem } from "../open/entry-rules.ts";
import { checkPlace } from "../open/geometry.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { Plan } from "../ports/plan.ts";
import { type BitmapEntry, entryProblem } from "../records/bitmap-entry.ts";
import { L1Area } from "../records/l1.ts";
import type { Extent } from "./cluster-owners.ts";
import { L1Areas } from "./l1-areas.ts";
import { hasArea, L1Places } from "./l1-places.ts";
import { Owners, validateL1 } from "./l1-rules.ts";
import { QdbClusterMap } from "./qdb-cluster-map.ts";

/** A bitmap of the table with its cluster map, when its L1 area and all its entries are good. */
export interface MappedBitmap {
  readonly entry: BitmapEntry;
  /** Undefined when the L1 area could not be trusted. */
  readonly map: QdbClusterMap | undefined;
  /** Its L1 area where it has its place and matches its checksum, whatever its entries say. */
  readonly area?: QdbClusterMap | undefined;
  /** First problem of the bitmap, in the order of spec §7; its bits are refused while there is one. */
  readonly problem: Problem | undefined;
  /** Why `map` is undefined: the first problem of its L1 area, wherever it stands in the order of spec §7. */
  readonly damage?: Problem | undefined;
}

/** What a file says, as a writer knows it: one generation. */
export interface FileState {
  readonly index: QdbIndex;
  /** Every bitmap of the table, in its order. */
  readonly mapped: readonly MappedBitmap[];
}

/**
 * Reads the L1 areas of bitmaps, a round for each 4096 of them, and validates them: place, checksum, entries, and that each cluster
 * has one owner among header, mirror, table and the bitmaps given (spec §3: a reader of one gives one, check and writers give all).
 */
export function* loadMaps(index: QdbIndex, selected: readonly BitmapEntry[], digests: Digests = {}): Plan<LoadedMaps> {
  const places = new L1Places(index, selected);
  const areas = yield* L1Areas.read(places, selected.length);
  return new LoadedMaps(index, selected, digests.crc32 ?? ownCrc32, places, areas);
}

/** The map of one bitmap whose bits can be used. @throws {QdbError} the bitmap's first problem */
export function* readMap(index: QdbIndex, entry: BitmapEntry, digests: Digests = {}): Plan<QdbClusterMap> {
  const known = index.problems.get(entry.index);
  if (known !== undefined) throw QdbError.from(known);
  const [mapped] = (yield* loadMaps(index, [entry], digests)).bitmaps();
  return usable(mapped);
}

/** The cluster map of a bitmap. @throws {QdbError} its problem, when it has one */
export function usable(mapped: MappedBitmap | undefined): QdbClusterMap {
  const problem = mapped?.problem;
  if (problem !== undefined) throw QdbError.from(problem);
  const map = mapped?.map;
  if (map === undefined) {
    const where = mapped === undefined ? {} : { bitmap: mapped.entry.label };
    throw new QdbError("BAD_FIELD", "the bitmap has no usable L1 area", where);
  }
  return map;
}

const NO_BYTES = new Uint8Array(0);

/** Two facts of each bitmap: its area was read and matches its checksum; something is wrong with area or entries. */
const GOOD_AREA = 1;
const BROKEN = 2;

/**
 * The L1 areas of bitmaps with what is wrong with them. Beside the areas' bytes a few numbers a bitmap are kept; maps and problems
 * are made where they are asked for, since a hostile file has tens of thousands of bitmaps, and a million problems.
 */
export class LoadedMaps {
  readonly #index: QdbIndex;
  readonly #selected: readonly BitmapEntry[];
  readonly #crc32: Crc32;
  readonly #places: L1Places;
  readonly #areas: L1Areas;
  readonly #owners: Owners;
  readonly #flags: Uint8Array;
  /** What is looked at one after the other: whether an area lies inside the file, shares no cluster, was read good, has good entries. */
  readonly #stages: readonly ((position: number, entry: BitmapEntry) => Iterable<Problem>)[] = [
    (position, entry) => this.#outside(position, entry),
    (position, entry) => this.#shared(position, entry),
    (position, entry) => this.#damaged(position, entry),
    (position, entry) => this.#wrongEntries(position, entry),
  ];

  constructor(index: QdbIndex, selected: readonly BitmapEntry[], crc32: Crc32, places: L1Places, areas: L1Areas) {
    this.#index = index;
    this.#selected = selected;
    this.#crc32 = crc32;
    this.#places = places;
    this.#areas = areas;
    this.#flags = new Uint8Array(selected.length);
    for (const [position, entry] of selected.entries()) {
      const bytes = areas.bytes(position);
      if (bytes === undefined) continue;
      if (index.form === "draft" || crc32(bytes) === entry.fields.l1Checksum) this.#flags[position] = GOOD_AREA;
    }
    this.#owners = new Owners(places, index, () => this.#goodAreas());
    for (const [position, entry] of selected.entries()) {
      for (const _ of this.problemsOf(position, entry)) {
        this.#flags[position] = (this.#flags[position] ?? 0) | BROKEN;
        break;
      }
    }
  }

  /** Number of bitmaps. */
  get count(): number {
    return this.#selected.length;
  }

  /** The bitmaps in the order given. */
  bitmaps(): MappedBitmap[] {
    return this.#selected.map((entry, position) => new LoadedMap(this, entry, position));
  }

  /** Every problem: first those of places, then of areas, then of what stands in them. */
  *problems(): Generator<BitmapProblem, void> {
    for (const stage of this.#stages) {
      for (const [position, entry] of this.#selected.entries()) {
        if (!this.#is(position, BROKEN)) continue;
        for (const problem of stage(position, entry)) yield { entry, problem };
      }
    }
  }

  /** The first problem of a bitmap, its entry's before its area's. */
  problem(position: number, entry: BitmapEntry): Problem | undefined {
    const known = this.#index.problems.get(entry.index);
    if (known !== undefined || !this.#is(position, BROKEN)) return known;
    for (const problem of this.problemsOf(position, entry)) return problem;
    return undefined;
  }

  /** The place of a bitmap's L1 area where it lies inside the file. */
  place(position: number): Extent | undefined {
    if (!this.#places.isInside(position)) return undefined;
    return { offset: this.#places.offsets[position] ?? 0, length: this.#places.lengths[position] ?? 0 };
  }

  /** The first problem of the L1 area of a bitmap, or of the fields that say where it is; undefined when it has a map. */
  damage(position: number, entry: BitmapEntry): Problem | undefined {
    if (this.map(position, entry) !== undefined) return undefined;
    for (const problem of this.problemsOf(position, entry)) return problem;
    return this.#index.problems.all(entry.index).find(isOfPlace);
  }

  /** The map of a bitmap that has no problem. */
  usableMap(position: number): QdbClusterMap | undefined {
    const entry = this.#selected[position];
    if (entry === undefined || this.#is(position, BROKEN) || this.#index.problems.has(entry.index)) return undefined;
    return this.map(position, entry);
  }

  /** The map of a bitmap in whose area nothing is wrong. */
  map(position: number, entry: BitmapEntry): QdbClusterMap | undefined {
    if (entry.l1Size > 0) return this.#is(position, BROKEN) ? undefined : this.area(position, entry);
    // A size or granularity out of range leaves the number of entries unknown: no map then, not one of no clusters.
    if (entry.fields.size !== 0n || this.#index.problems.isUnplaced(entry.index)) return undefined;
    return this.#mapOf(entry, NO_BYTES, 0);
  }

  /** The map of a bitmap whose area matches its checksum, whatever its entries say. */
  area(position: number, entry: BitmapEntry): QdbClusterMap | undefined {
    const bytes = this.#is(position, GOOD_AREA) ? this.#areas.bytes(position) : undefined;
    return bytes === undefined ? undefined : this.#mapOf(entry, bytes, this.#places.offsets[position] ?? 0);
  }

  #mapOf(entry: BitmapEntry, bytes: Uint8Array, offset: number): QdbClusterMap {
    const { form, clusterSize } = this.#index;
    return new QdbClusterMap(entry, new L1Area(bytes, entry.l1Size, form), offset, clusterSize, this.#crc32);
  }

  #is(position: number, flag: number): boolean {
    return ((this.#flags[position] ?? 0) & flag) !== 0;
  }

  *#goodAreas(): Generator<QdbClusterMap, void> {
    for (const [position, entry] of this.#selected.entries()) {
      const map = this.area(position, entry);
      if (map !== undefined) yield map;
    }
  }

  /** Every problem of the L1 area of a bitmap, and of what stands in it. */
  *problemsOf(position: number, entry: BitmapEntry): Generator<Problem, void> {
    for (const stage of this.#stages) yield* stage(position, entry);
  }

  #outside(position: number, entry: BitmapEntry): readonly Problem[] {
    const found: Problem[] = [];
    if (this.#places.isInside(position) || !hasArea(entry, this.#index)) return found;
    checkPlace(l1Reference(entry, this.#index), this.#index, (problem) => found.push(problem));
    return found;
  }

  #shared(position: number, entry: BitmapEntry): readonly Problem[] {
    if (!this.#places.isInside(position) || this.#places.isAlone(position)) return [];
    const message = `the L1 area at ${this.#places.offsets[position]} shares a cluster with another structure`;
    return [entryProblem(entry, "l1TableOffset", "OVERLAP", message)];
  }

  #damaged(position: number, entry: BitmapEntry): readonly Problem[] {
    if (!this.#places.isAlone(position) || this.#is(position, GOOD_AREA)) return [];
    const unread = this.#areas.unread(position);
    if (unread !== undefined) {
      return [entryProblem(entry, "l1TableOffset", unread.code, `the L1 area cannot be read: ${unread.message}`)];
    }
    const message = "the L1 area does not match l1_checksum; qdb check -r makes the whole bitmap dirty";
    return [entryProblem(entry, "l1Checksum", "BAD_CHECKSUM", message)];
  }

  *#wrongEntries(position: number, entry: BitmapEntry): Generator<Problem, void> {
    const map = this.area(position, entry);
    if (map !== undefined) yield* validateL1(map, this.#index, (offset) => this.#owners.isDouble(offset));
    if (!this.#owners.isHit(position)) return;
    yield entryProblem(entry, "l1TableOffset", "OVERLAP", "a data cluster of a bitmap lies over the L1 area");
  }
}

/** A bitmap of {@link LoadedMaps}: nothing but where it is there. */
class LoadedMap implements MappedBitmap {
  readonly entry: BitmapEntry;
  readonly #maps: LoadedMaps;
  readonly #position: number;

  constructor(maps: LoadedMaps, entry: BitmapEntry, position: number) {
    this.entry = entry;
    this.#maps = maps;
    this.#position = position;
  }

  get map(): QdbClusterMap | undefined {
    return this.#maps.map(this.#position, this.entry);
  }

  get area(): QdbClusterMap | undefined {
    return this.#maps.area(this.#position, this.entry);
  }

  get problem(): Problem | undefined {
    return this.#maps.problem(this.#position, this.entry);
  }

  get damage(): Problem | undefined {
    return this.#maps.damage(this.#position, this.entry);
  }
}
