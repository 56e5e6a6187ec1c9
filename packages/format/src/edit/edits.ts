import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapShape, DiskRange } from "../bitmap/shape.ts";
import type { BitmapChange } from "../commit/bitmap-change.ts";
import type { BitmapContents, FileContents } from "../commit/file-contents.ts";
import type { Problem } from "../errors.ts";
import { exactInteger } from "../integers.ts";
import { encodeUtf8 } from "../layout/text.ts";
import type { Limits } from "../limits.ts";
import type { FileState } from "../maps/load-maps.ts";
import type { MirrorOptions } from "../open/header-source.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import type { ExtraRecord } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";
import { addDirt, changeBits, inPlace, removeDirt } from "./bit-actions.ts";
import { BitmapList } from "./bitmap-list.ts";
import { copyRecords, withRecord } from "./chain-records.ts";
import { freeze, release } from "./freeze.ts";
import {
  doubtOf,
  entryOf,
  loadBits,
  loadSource,
  type PendingBitmap,
  removableEntry,
  shapeOf,
  soundEntry,
  usableEntry,
  usage,
} from "./pending-bitmap.ts";
import { changeOf, contentsOf } from "./pending-contents.ts";

/** Options of {@link Edits}. */
export interface EditOptions extends Limits, MirrorOptions {
  /** Returns 16 random bytes at each call, for the ids of bitmaps. */
  readonly newId: () => Uint8Array;
}

/** A new bitmap. `Edits` copies what it is given: changes that the caller makes later have no effect. */
export interface NewBitmap {
  readonly name: string;
  readonly bits: Bitmap;
  readonly flags: number;
  /** Extra-data records, in the order in which they are written. */
  readonly extraData: readonly Tlv[];
}

/**
 * Pending changes of the bitmaps of a file, in memory. Actions are done one after the other, and one commit writes all of them. An action
 * reads bits from the file if it needs them. An action that would break a rule is refused (spec §3, §5 Dirt), and an action that fails
 * changes nothing.
 *
 * The kind of an action decides whether it removes dirt: `unmark`, `clear`, `invert`, `intersect`, `subtract`, `xor` and a `resize` to a
 * smaller size do. A frozen bitmap refuses them, and any other bitmap gets a new id in its chain of backups. `change` is decided by
 * comparing the bits before and after it. Other actions never make a dirty bit clean.
 */
export class Edits {
  readonly #state: FileState;
  readonly #options: EditOptions;
  readonly #list: BitmapList;

  constructor(state: FileState, options: EditOptions) {
    this.#state = state;
    this.#options = options;
    this.#list = new BitmapList(state.mapped.map((from) => ({ from, name: from.entry.label })));
  }

  /** Whether there is a bitmap with a name. */
  has(name: string): boolean {
    return this.#list.has(name);
  }

  /** Returns the flags of a bitmap. @throws {QdbError} NOT_FOUND */
  flags(name: string): number {
    return entryOf(this.#list.find(name)).flags;
  }

  /** Returns a copy of the records of a bitmap. @throws {QdbError} NOT_FOUND */
  records(name: string): readonly Tlv[] {
    return copyRecords(entryOf(this.#list.find(name)).extraData);
  }

  /** Returns size and granularity of a bitmap. @throws {QdbError} NOT_FOUND */
  shape(name: string): BitmapShape {
    return shapeOf(this.#list.find(name));
  }

  /**
   * Returns a copy of the bits of a bitmap with the changes so far. Changes of the copy have no effect on the file.
   * @throws {QdbError} NOT_FOUND; BAD_CHECKSUM if the header was read from the mirror and that is not accepted; the code of the bitmap's first problem; LIMIT if the bits take more than `maxBitmapBytes`
   */
  *bits(name: string): Plan<Bitmap> {
    return (yield* loadSource(this.#list.find(name), this.#state.index, this.#options)).clone();
  }

  /** Adds a bitmap after the others. @throws {QdbError} ALREADY_EXISTS */
  add({ name, bits, flags, extraData }: NewBitmap): void {
    const entry = { nameBytes: encodeUtf8(name), flags, extraData: copyRecords(extraData) };
    this.#list.add({ name, bits: bits.clone(), entry });
  }

  /** Replaces the bitmap of the same name. @throws {QdbError} NOT_FOUND; USAGE if the bitmap is frozen or a successor */
  replace({ name, bits, flags, extraData }: NewBitmap): void {
    const bitmap = this.#list.find(name);
    this.#list.refuseBound(bitmap, "replaced");
    const entry = { nameBytes: encodeUtf8(name), flags, extraData: copyRecords(extraData) };
    Object.assign(bitmap, { entry, bits: bits.clone() });
    delete bitmap.original;
    delete bitmap.isNewPoint;
  }

  /** Removes a bitmap, even a bitmap in error; if several have the name, all of them. @throws {QdbError} NOT_FOUND; USAGE for the successor of a frozen bitmap */
  remove(name: string): void {
    const bitmap = this.#list.find(name);
    const [frozen] = this.#list.frozenFor(bitmap);
    if (frozen !== undefined)
      throw usage(`it collects for the frozen bitmap ${JSON.stringify(frozen.name)}; release that one first`, name);
    this.#list.removeName(bitmap);
  }

  /** Marks every bit dirty that a range of the disk touches. @throws {QdbError} as {@link change}; USAGE for a range that is not inside the disk */
  *mark(name: string, range: DiskRange): Plan<void> {
    addDirt(
      yield* this.#load(name, usableEntry),
      inPlace((bits) => bits.mark(range)),
    );
  }

  /** Marks every bit clean whose whole granule lies in a range of the disk. @throws {QdbError} as {@link change}; USAGE for a range that is not inside the disk, and for a frozen bitmap */
  unmark(name: string, range: DiskRange): Plan<void> {
    return this.#remove(name, (bits) => bits.unmark(range));
  }

  /** Makes every bit clean. @throws {QdbError} as {@link change}; USAGE for a frozen bitmap */
  *clear(name: string): Plan<void> {
    removeDirt(yield* this.#load(name, removableEntry), this.#options.newId, Bitmap.clean);
  }

  /** Makes dirty bits clean and clean bits dirty. @throws {QdbError} as {@link change}; USAGE for a frozen bitmap */
  invert(name: string): Plan<void> {
    return this.#remove(name, (bits) => bits.invert());
  }

  /** Adds the dirty bits of a source (OR), rounded outward if its granularity differs. @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size */
  *merge(name: string, source: Bitmap): Plan<void> {
    addDirt(
      yield* this.#load(name, usableEntry),
      inPlace((bits) => bits.merge(source)),
    );
  }

  /** Keeps the bits that are dirty in a source too (AND), rounded outward if its granularity differs. @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size; USAGE for a frozen bitmap */
  intersect(name: string, source: Bitmap): Plan<void> {
    return this.#remove(name, (bits) => bits.intersect(source));
  }

  /** Clears the bits that are dirty in a source (AND NOT), rounded inward if its granularity differs. @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size; USAGE for a frozen bitmap */
  subtract(name: string, source: Bitmap): Plan<void> {
    return this.#remove(name, (bits) => bits.subtract(source));
  }

  /** Keeps the bits that are dirty in exactly one of bitmap and source (XOR). @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size; USAGE for another granularity, and for a frozen bitmap */
  xor(name: string, source: Bitmap): Plan<void> {
    return this.#remove(name, (bits) => bits.xor(source));
  }

  /** Changes the granularity of a bitmap. Rounding only makes more bytes dirty. @throws {QdbError} as {@link change}; USAGE for a granularity that the format does not allow; LIMIT above 2^32 bits */
  *regranulate(name: string, granularity: number): Plan<void> {
    addDirt(yield* this.#load(name, usableEntry), (bits) => bits.regranulate(granularity));
  }

  /**
   * Changes the bits of a bitmap by a callback. The callback gets a copy of them, and returns bits of the same size and granularity. If a
   * bit is clean in the result that was dirty before, dirt is removed.
   * @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; LIMIT if the bits take more than `maxBitmapBytes`; USAGE for a result of another size or granularity, and for dirt that is removed from a frozen bitmap
   */
  *change(name: string, callback: (bits: Bitmap) => Bitmap): Plan<void> {
    changeBits(yield* this.#load(name, usableEntry), this.#options.newId, callback);
  }

  *#remove(name: string, change: (bits: Bitmap) => void): Plan<void> {
    removeDirt(yield* this.#load(name, removableEntry), this.#options.newId, inPlace(change));
  }

  /** Returns a bitmap with its bits loaded. `refuse` throws if the bitmap does not allow the action. */
  *#load(name: string, refuse: (bitmap: PendingBitmap) => void): Plan<PendingBitmap> {
    const bitmap = this.#list.find(name);
    refuse(bitmap);
    yield* loadBits(bitmap, this.#options);
    // Another action may have run while the bits were read.
    refuse(bitmap);
    return bitmap;
  }

  /** Makes every bit dirty. An inconsistent bitmap can be used again after that. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem if its records cannot be parsed */
  markAll(name: string): void {
    const bitmap = this.#list.find(name);
    const entry = entryOf(bitmap);
    const bits = Bitmap.dirty(shapeOf(bitmap));
    Object.assign(bitmap, { bits, entry: { ...entry, flags: entry.flags & ~FLAG.in_use } });
    delete bitmap.original;
  }

  /** Sets or clears the enabled flag. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; USAGE for enabling a frozen bitmap */
  setEnabled(name: string, enabled: boolean): void {
    const bitmap = this.#list.find(name);
    const entry = usableEntry(bitmap);
    if (enabled && (entry.flags & FLAG.frozen) !== 0)
      throw usage("it is frozen: its successor collects; release it first", name);
    bitmap.entry = { ...entry, flags: enabled ? entry.flags | FLAG.enabled : entry.flags & ~FLAG.enabled };
  }

  /** Gives a bitmap another name, also in the record of a frozen bitmap whose successor it is. @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the code of the first problem of either bitmap */
  rename(name: string, to: string): void {
    const bitmap = this.#list.find(name);
    const entry = { ...soundEntry(bitmap), nameBytes: encodeUtf8(to) };
    if (name === to) return;
    this.#list.refuseExisting(to);
    // `soundEntry` refuses a bitmap in error: encoding its entry again would hide the error (QDB-CMT-048).
    const followers = this.#list.frozenFor(bitmap).map((frozen) => {
      const before = soundEntry(frozen);
      return [frozen, { ...before, extraData: withRecord(before.extraData, { kind: "successor", text: to }) }] as const;
    });
    // What follows cannot fail.
    Object.assign(bitmap, { entry, name: to });
    for (const [frozen, after] of followers) frozen.entry = after;
  }

  /**
   * Adapts a bitmap to a disk of another size. The area that is added is dirty, or clean if the caller states that no byte there changed.
   * @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; USAGE for an impossible size, and for a bitmap that is frozen or a successor; LIMIT above 2^32 bits
   */
  *resize(name: string, size: number | bigint, newArea: "dirty" | "clean"): Plan<void> {
    const bytes = exactInteger(size, "size");
    const bitmap = yield* this.#load(name, (found) => {
      this.#list.refuseBound(found, "resized");
      usableEntry(found);
    });
    const resized = (bits: Bitmap): Bitmap => bits.resize(bytes, { newArea });
    if (bytes < shapeOf(bitmap).size) removeDirt(bitmap, this.#options.newId, resized);
    else addDirt(bitmap, resized);
  }

  /**
   * Freezes a bitmap for a backup: from then on a new bitmap, its successor, collects writes (spec §3). `created` is the time in ns
   * since the epoch.
   * @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the code of the bitmap's first problem; USAGE if the bitmap is frozen or a successor
   */
  freeze(name: string, successor: string, created?: bigint): void {
    freeze(this.#list, name, successor, this.#options.newId, created);
  }

  /**
   * Ends a freeze. `done`: the backup is complete, and the frozen bitmap is removed. `failed`: its dirty bits are merged into its
   * successor, which takes its id and parent in the chain of backups.
   * @throws {QdbError} NOT_FOUND; USAGE if the bitmap is not frozen; the code of the first problem of either bitmap; for `failed`, BAD_CHECKSUM if the header was read from the mirror and that is not accepted
   */
  *release(name: string, outcome: "done" | "failed"): Plan<void> {
    yield* release(this.#list, name, outcome, this.#state.index, this.#options);
  }

  /** Sets a record of a bitmap. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem */
  setRecord(name: string, record: Exclude<ExtraRecord, { kind: "unknown" }>): void {
    const bitmap = this.#list.find(name);
    const entry = soundEntry(bitmap);
    bitmap.entry = { ...entry, extraData: withRecord(entry.extraData, record) };
  }

  /** Returns what a commit does with each bitmap of the next generation; undefined if nothing changes. Bits that equal those in the file do not count as changed. */
  findChanges(): readonly BitmapChange[] | undefined {
    const { mapped } = this.#state;
    const changes = this.#list.all().map(changeOf);
    const isSame =
      changes.length === mapped.length &&
      changes.every(({ from, entry, bits }, at) => from === mapped[at] && entry === undefined && bits === undefined);
    return isSame ? undefined : changes;
  }

  /** The problems of the bitmaps that {@link contents} makes all dirty because no checksum tells which of their bits are right. */
  doubted(): readonly Problem[] {
    return this.#list.all().flatMap((bitmap) => {
      const doubt = doubtOf(bitmap, this.#state.index);
      return doubt === undefined ? [] : [doubt];
    });
  }

  /** Returns the contents of the file with all changes, for writing the file whole. @throws {QdbError} the code of the first problem of a bitmap that cannot be written */
  *contents(
    form: "full" | "draft",
    ids: { readonly fileId: Uint8Array; readonly writerId: Uint8Array },
  ): Plan<FileContents> {
    const { index } = this.#state;
    const bitmaps: BitmapContents[] = [];
    for (const bitmap of this.#list.all()) bitmaps.push(yield* contentsOf(bitmap, index, this.#options));
    const allOnes = form === "full" && (index.form === "draft" || index.allOnes);
    return { form, clusterBits: index.header.clusterBits, ...ids, allOnes, extensions: index.extensions, bitmaps };
  }
}
