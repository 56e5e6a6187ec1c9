import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import type { BitmapChange } from "../commit/bitmap-change.ts";
import type { BitmapContents, FileContents } from "../commit/file-contents.ts";
import type { Problem } from "../errors.ts";
import { encodeUtf8 } from "../layout/text.ts";
import type { Limits } from "../limits.ts";
import type { FileState } from "../maps/load-maps.ts";
import type { MirrorOptions } from "../open/header-source.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import type { ExtraRecord } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";
import { BitmapList } from "./bitmap-list.ts";
import { newPoint, withRecord } from "./chain-records.ts";
import { freeze, release } from "./freeze.ts";
import {
  doubtOf,
  entryOf,
  isSameEntry,
  loadBits,
  loadSource,
  shapeOf,
  soundEntry,
  usableEntry,
  usage,
} from "./pending-bitmap.ts";

/** What edits need from their host. */
export interface EditOptions extends Limits, MirrorOptions {
  /** Returns 16 random bytes: the id of a new bitmap. */
  readonly newId: () => Uint8Array;
}

/** A new bitmap. */
export interface NewBitmap {
  readonly name: string;
  readonly bits: Bitmap;
  readonly flags: number;
  /** Extra-data records, in the order in which they are written. */
  readonly extraData: readonly Tlv[];
}

/**
 * Pending changes of a file's bitmaps, in memory: made one after the other, and committed together. Bits are read when an action
 * needs them. An action that would break a rule is refused before anything is written (spec §3, §5 Dirt).
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

  /** Flags of a bitmap. @throws {QdbError} NOT_FOUND */
  flags(name: string): number {
    return entryOf(this.#list.find(name)).flags;
  }

  /** Records of a bitmap. @throws {QdbError} NOT_FOUND */
  records(name: string): readonly Tlv[] {
    return entryOf(this.#list.find(name)).extraData;
  }

  /** Size and granularity of a bitmap. @throws {QdbError} NOT_FOUND */
  shape(name: string): BitmapShape {
    return shapeOf(this.#list.find(name));
  }

  /** The bits of a bitmap, to be read only. @throws {QdbError} NOT_FOUND; BAD_CHECKSUM if the header was read from the mirror and that is not accepted; the bitmap's problem; LIMIT */
  *bits(name: string): Plan<Bitmap> {
    return yield* loadSource(this.#list.find(name), this.#state.index, this.#options);
  }

  /** Adds a bitmap behind the others. @throws {QdbError} ALREADY_EXISTS */
  add({ name, bits, flags, extraData }: NewBitmap): void {
    this.#list.add({ name, bits, entry: { nameBytes: encodeUtf8(name), flags, extraData } });
  }

  /** Replaces the bitmap of the same name. @throws {QdbError} NOT_FOUND; USAGE for one that is frozen or a successor */
  replace({ name, bits, flags, extraData }: NewBitmap): void {
    const bitmap = this.#list.find(name);
    this.#list.refuseBound(bitmap, "replaced");
    bitmap.entry = { nameBytes: encodeUtf8(name), flags, extraData };
    bitmap.bits = bits;
    delete bitmap.original;
    delete bitmap.isNewPoint;
  }

  /** Removes a bitmap, even one in error; of several with one name, all. @throws {QdbError} NOT_FOUND; USAGE for the successor of a frozen one */
  remove(name: string): void {
    const bitmap = this.#list.find(name);
    const [frozen] = this.#list.frozenFor(bitmap);
    if (frozen !== undefined)
      throw usage(`it collects for the frozen bitmap ${JSON.stringify(frozen.name)}; release that one first`, name);
    this.#list.removeName(bitmap);
  }

  /**
   * Changes the bits of a bitmap. `change` gets a copy of them and returns the new ones. `removes` says whether a dirty bit may become
   * clean: then the bitmap gets a new id in its chain of backups (spec §3).
   * @throws {QdbError} NOT_FOUND; the bitmap's problem; USAGE for a frozen bitmap if a dirty bit may become clean
   */
  *change(name: string, change: (bits: Bitmap) => Bitmap, removes: boolean): Plan<void> {
    const bitmap = this.#list.find(name);
    const entry = usableEntry(bitmap);
    if (removes && (entry.flags & FLAG.frozen) !== 0)
      throw usage("it is frozen: what was dirty then is being backed up; release it first", name);
    const bits = (yield* loadBits(bitmap, this.#options)).clone();
    bitmap.bits = change(bits);
    if (!removes || bitmap.isNewPoint === true) return;
    // One new id for each commit: the chain would break at a parent that was never stored.
    bitmap.entry = { ...entry, extraData: newPoint(entry.extraData, this.#options.newId()) };
    bitmap.isNewPoint = true;
  }

  /** Makes every bit dirty. An inconsistent bitmap can be used again after that. @throws {QdbError} NOT_FOUND; the bitmap's problem, if its records cannot be parsed */
  markAll(name: string): void {
    const bitmap = this.#list.find(name);
    const entry = entryOf(bitmap);
    bitmap.bits = Bitmap.dirty(shapeOf(bitmap));
    bitmap.entry = { ...entry, flags: entry.flags & ~FLAG.in_use };
    delete bitmap.original;
  }

  /** Sets or clears the enabled flag. @throws {QdbError} NOT_FOUND; the bitmap's problem; USAGE for a frozen one */
  setEnabled(name: string, enabled: boolean): void {
    const bitmap = this.#list.find(name);
    const entry = usableEntry(bitmap);
    if (enabled && (entry.flags & FLAG.frozen) !== 0)
      throw usage("it is frozen: its successor collects; release it first", name);
    bitmap.entry = { ...entry, flags: enabled ? entry.flags | FLAG.enabled : entry.flags & ~FLAG.enabled };
  }

  /** Gives a bitmap another name, also in the record of a frozen bitmap whose successor it is. @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the problem of either bitmap */
  rename(name: string, to: string): void {
    const bitmap = this.#list.find(name);
    const entry = soundEntry(bitmap);
    if (name === to) return;
    this.#list.refuseExisting(to);
    // Before anything changes: to encode the entry of a bitmap in error again would hide the error (QDB-CMT-048).
    const followers = this.#list.frozenFor(bitmap).map((frozen) => [frozen, soundEntry(frozen)] as const);
    bitmap.entry = { ...entry, nameBytes: encodeUtf8(to) };
    bitmap.name = to;
    for (const [frozen, before] of followers) {
      frozen.entry = { ...before, extraData: withRecord(before.extraData, { kind: "successor", text: to }) };
    }
  }

  /** Adapts a bitmap to a disk of another size. @throws {QdbError} NOT_FOUND; the bitmap's problem; USAGE for one that is frozen or a successor; LIMIT */
  *resize(name: string, size: bigint, newArea: "dirty" | "clean"): Plan<void> {
    const bitmap = this.#list.find(name);
    this.#list.refuseBound(bitmap, "resized");
    yield* this.change(name, (bits) => bits.resize(size, { newArea }), size < shapeOf(bitmap).size);
  }

  /**
   * Freezes a bitmap for a backup: from then on a new bitmap, its successor, collects writes (spec §3). `created` is the time in ns
   * since the epoch.
   * @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the bitmap's problem; USAGE if it is frozen or a successor
   */
  freeze(name: string, successor: string, created?: bigint): void {
    freeze(this.#list, name, successor, this.#options.newId, created);
  }

  /**
   * Ends a freeze. `done`: the backup is complete, and the frozen bitmap is removed. `failed`: its dirty bits are merged into its
   * successor, which takes its id and parent in the chain of backups.
   * @throws {QdbError} NOT_FOUND; USAGE if it is not frozen; the problem of either bitmap; for `failed`, BAD_CHECKSUM if the header was read from the mirror and that is not accepted
   */
  *release(name: string, outcome: "done" | "failed"): Plan<void> {
    yield* release(this.#list, name, outcome, this.#state.index, this.#options);
  }

  /** Sets a record of a bitmap. @throws {QdbError} NOT_FOUND; the bitmap's problem */
  setRecord(name: string, record: Exclude<ExtraRecord, { kind: "unknown" }>): void {
    const bitmap = this.#list.find(name);
    const entry = soundEntry(bitmap);
    bitmap.entry = { ...entry, extraData: withRecord(entry.extraData, record) };
  }

  /** What a commit does with each bitmap of the next generation; undefined if that is nothing. Compares changed bits with those in the file. */
  findChanges(): readonly BitmapChange[] | undefined {
    const { mapped } = this.#state;
    const changes = this.#list.all().map(({ from, entry, bits, original }): BitmapChange => {
      const isSame = bits !== undefined && original !== undefined && bits.equals(original);
      return {
        ...(from === undefined ? {} : { from }),
        ...(entry === undefined || isSameEntry(from, entry) ? {} : { entry }),
        ...(bits === undefined || isSame ? {} : { bits, ...(original === undefined ? {} : { original }) }),
      };
    });
    const isSame =
      changes.length === mapped.length &&
      changes.every(({ from, entry, bits }, at) => from === mapped[at] && entry === undefined && bits === undefined);
    return isSame ? undefined : changes;
  }

  /** The problems of the bitmaps that {@link contents} makes all dirty: no checksum tells which of their bits are right. */
  doubted(): readonly Problem[] {
    return this.#list.all().flatMap((bitmap) => {
      const doubt = doubtOf(bitmap, this.#state.index);
      return doubt === undefined ? [] : [doubt];
    });
  }

  /** The contents of the file with all changes, for writing it whole. @throws {QdbError} the problem of a bitmap that cannot be written */
  *contents(
    form: "full" | "draft",
    ids: { readonly fileId: Uint8Array; readonly writerId: Uint8Array },
  ): Plan<FileContents> {
    const { index } = this.#state;
    const bitmaps: BitmapContents[] = [];
    for (const bitmap of this.#list.all()) {
      const { nameBytes, flags, extraData } = entryOf(bitmap);
      const isDoubted = doubtOf(bitmap, index) !== undefined;
      const bits = isDoubted ? Bitmap.dirty(shapeOf(bitmap)) : yield* loadBits(bitmap, this.#options, true);
      bitmaps.push({ nameBytes, flags, extraData, bits });
    }
    const allOnes = form === "full" && (index.form === "draft" || index.allOnes);
    return { form, clusterBits: index.header.clusterBits, ...ids, allOnes, extensions: index.extensions, bitmaps };
  }
}
