import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import type { BitmapChange } from "../commit/bitmap-change.ts";
import type { FileContents } from "../commit/file-contents.ts";
import { type Problem, QdbError } from "../errors.ts";
import { encodeUtf8, toUuid } from "../layout/text.ts";
import type { Limits } from "../limits.ts";
import type { FileState } from "../maps/load-maps.ts";
import type { MirrorOptions } from "../open/header-source.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { decodeRecord, type ExtraRecord, encodeRecord, RECORD } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";
import { newPoint, withRecord } from "./chain-records.ts";
import {
  doubtOf,
  entryOf,
  isSameEntry,
  loadBits,
  loadSource,
  type PendingBitmap,
  recordsOf,
  shapeOf,
  soundEntry,
  usableEntry,
  usage,
} from "./pending-bitmap.ts";

/** What edits need from their host. */
export interface EditOptions extends Limits, MirrorOptions {
  /** 16 random bytes: a new bitmap id. */
  readonly newId: () => Uint8Array;
}

/** A new bitmap. */
export interface NewBitmap {
  readonly name: string;
  readonly bits: Bitmap;
  readonly flags: number;
  readonly extraData: readonly Tlv[];
}

/**
 * Changes of a file's bitmaps, in memory: made one after the other, committed together or not at all. Bits are read when an
 * action needs them. Rules that an action would break are found before anything is written (spec §3, §5 Dirt).
 */
export class Edits {
  readonly #state: FileState;
  readonly #options: EditOptions;
  #list: PendingBitmap[];

  constructor(state: FileState, options: EditOptions) {
    this.#state = state;
    this.#options = options;
    this.#list = state.mapped.map((from) => ({ from, name: from.entry.label }));
  }

  /** Whether a bitmap of the name is there. */
  has(name: string): boolean {
    return this.#list.some((bitmap) => bitmap.name === name);
  }

  /** Flags of a bitmap. @throws {QdbError} NOT_FOUND */
  flags(name: string): number {
    return entryOf(this.#find(name)).flags;
  }

  /** Records of a bitmap. @throws {QdbError} NOT_FOUND */
  records(name: string): readonly Tlv[] {
    return entryOf(this.#find(name)).extraData;
  }

  /** Size and granularity of a bitmap. @throws {QdbError} NOT_FOUND */
  shape(name: string): BitmapShape {
    return shapeOf(this.#find(name));
  }

  /** The bits of a bitmap, to be read only. @throws {QdbError} NOT_FOUND; BAD_CHECKSUM where the mirror was used and is not accepted; the bitmap's problem; LIMIT */
  *bits(name: string): Plan<Bitmap> {
    return yield* loadSource(this.#find(name), this.#state.index, this.#options);
  }

  /** Adds a bitmap behind the others. @throws {QdbError} ALREADY_EXISTS */
  add({ name, bits, flags, extraData }: NewBitmap): void {
    if (this.has(name))
      throw new QdbError("ALREADY_EXISTS", "a bitmap of that name is there already", { bitmap: name });
    this.#list.push({ name, bits, entry: { nameBytes: encodeUtf8(name), flags, extraData } });
  }

  /** Puts a bitmap in the place of the one of the same name. @throws {QdbError} NOT_FOUND; USAGE for one that is frozen or a successor */
  replace(next: NewBitmap): void {
    const bitmap = this.#find(next.name);
    this.#refuseBound(bitmap, "replaced");
    bitmap.entry = { nameBytes: encodeUtf8(next.name), flags: next.flags, extraData: next.extraData };
    bitmap.bits = next.bits;
    delete bitmap.original;
    delete bitmap.isNewPoint;
  }

  /** Removes a bitmap, also one in error. @throws {QdbError} NOT_FOUND; USAGE for the successor of a frozen one */
  remove(name: string): void {
    const bitmap = this.#find(name);
    const [frozen] = this.#frozenOf(bitmap);
    if (frozen !== undefined)
      throw usage(`it collects for the frozen bitmap ${JSON.stringify(frozen.name)}; release that one first`, name);
    // Two of one name cannot be told apart and neither can be used: both go.
    this.#list = this.#list.filter((other) => other.name !== name || isText(other) !== isText(bitmap));
  }

  /** Changes a bitmap's bits: `change` gets a copy and gives what is to be; `removes` says whether dirt may go, which makes a new point in its chain (spec §3). @throws {QdbError} NOT_FOUND; the bitmap's problem; USAGE when it is frozen and dirt would go */
  *change(name: string, change: (bits: Bitmap) => Bitmap, removes: boolean): Plan<void> {
    const bitmap = this.#find(name);
    const entry = usableEntry(bitmap);
    if (removes && (entry.flags & FLAG.frozen) !== 0)
      throw usage("it is frozen: what was dirty then is being backed up; release it first", name);
    const bits = (yield* loadBits(bitmap, this.#options)).clone();
    bitmap.bits = change(bits);
    if (!removes || bitmap.isNewPoint === true) return;
    // One point a commit: a parent that was never stored would break the chain.
    bitmap.entry = { ...entry, extraData: newPoint(entry.extraData, this.#options.newId()) };
    bitmap.isNewPoint = true;
  }

  /** Makes every bit dirty and the bitmap usable again: the one way back for one that is inconsistent. @throws {QdbError} NOT_FOUND; the rule that it breaks otherwise */
  markAll(name: string): void {
    const bitmap = this.#find(name);
    const entry = entryOf(bitmap);
    bitmap.bits = Bitmap.dirty(shapeOf(bitmap));
    bitmap.entry = { ...entry, flags: entry.flags & ~FLAG.in_use };
    delete bitmap.original;
  }

  /** Sets or clears the enabled flag. @throws {QdbError} NOT_FOUND; the bitmap's problem; USAGE for a frozen one */
  setEnabled(name: string, enabled: boolean): void {
    const bitmap = this.#find(name);
    const entry = usableEntry(bitmap);
    if (enabled && (entry.flags & FLAG.frozen) !== 0)
      throw usage("it is frozen: its successor collects; release it first", name);
    bitmap.entry = { ...entry, flags: enabled ? entry.flags | FLAG.enabled : entry.flags & ~FLAG.enabled };
  }

  /** Gives a bitmap another name; a frozen one that names it follows. @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the problem of the bitmap, or of one that follows */
  rename(name: string, to: string): void {
    const bitmap = this.#find(name);
    const entry = soundEntry(bitmap);
    if (name === to) return;
    if (this.has(to)) throw new QdbError("ALREADY_EXISTS", "a bitmap of that name is there already", { bitmap: to });
    // Looked at before anything changes: writing the entry of a bitmap in error anew would hide its error (QDB-CMT-048).
    const followers = this.#frozenOf(bitmap).map((frozen) => [frozen, soundEntry(frozen)] as const);
    bitmap.entry = { ...entry, nameBytes: encodeUtf8(to) };
    bitmap.name = to;
    for (const [frozen, before] of followers) {
      frozen.entry = { ...before, extraData: withRecord(before.extraData, { kind: "successor", text: to }) };
    }
  }

  /** Fits a bitmap to a disk of another size. @throws {QdbError} NOT_FOUND; the bitmap's problem; USAGE for one that is frozen or a successor; LIMIT */
  *resize(name: string, size: bigint, newArea: "dirty" | "clean"): Plan<void> {
    const bitmap = this.#find(name);
    this.#refuseBound(bitmap, "resized");
    yield* this.change(name, (bits) => bits.resize(size, { newArea }), size < shapeOf(bitmap).size);
  }

  /** Freezes a bitmap for a backup; a new one collects from now on (spec §3). @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the bitmap's problem; USAGE when it is frozen already */
  freeze(name: string, successor: string, created?: bigint): void {
    const bitmap = this.#find(name);
    const entry = usableEntry(bitmap);
    if ((entry.flags & FLAG.frozen) !== 0) throw usage("it is frozen already", name);
    this.#refuseBound(bitmap, "frozen");
    const id = entry.extraData.find(({ type }) => type === RECORD.id);
    const records: ExtraRecord[] = entry.extraData
      .map(decodeRecord)
      .filter(({ kind }) => kind === "disk" || kind === "stamp");
    records.push({ kind: "id", uuid: toUuid(this.#options.newId()) });
    if (id !== undefined && id.data.length === 16) records.push({ kind: "parent", uuid: toUuid(id.data) });
    if (created !== undefined) records.push({ kind: "created", ns: created });
    this.add({
      name: successor,
      bits: Bitmap.clean(shapeOf(bitmap)),
      flags: FLAG.enabled,
      extraData: records.map(encodeRecord),
    });
    bitmap.entry = {
      ...entry,
      flags: (entry.flags & ~FLAG.enabled) | FLAG.frozen,
      extraData: withRecord(entry.extraData, { kind: "successor", text: successor }),
    };
  }

  /**
   * Ends a freeze. `done`: the backup is complete, the frozen bitmap goes. `failed`: its dirt goes into its successor, which
   * then stands for the frozen one's point in the chain.
   * @throws {QdbError} NOT_FOUND; USAGE when it is not frozen; the problem of either bitmap; for `failed`, BAD_CHECKSUM where the mirror was used and is not accepted
   */
  *release(name: string, outcome: "done" | "failed"): Plan<void> {
    const bitmap = this.#find(name);
    const entry = usableEntry(bitmap);
    const record = entry.extraData.find(({ type }) => type === RECORD.successor);
    const decoded = record === undefined ? undefined : decodeRecord(record);
    if ((entry.flags & FLAG.frozen) === 0 || decoded?.kind !== "successor")
      throw usage("it is not frozen: there is nothing to release", name);
    if (outcome === "failed") {
      const successor = this.#find(decoded.text);
      const target = usableEntry(successor);
      const frozenBits = yield* loadSource(bitmap, this.#state.index, this.#options);
      const bits = (yield* loadBits(successor, this.#options)).clone();
      bits.merge(frozenBits);
      successor.bits = bits;
      const chain = entry.extraData.filter(({ type }) => type === RECORD.id || type === RECORD.parent);
      const others = target.extraData.filter(({ type }) => type !== RECORD.id && type !== RECORD.parent);
      successor.entry = { ...target, extraData: [...others, ...chain] };
      successor.isNewPoint = false;
    }
    this.#list = this.#list.filter((other) => other !== bitmap);
  }

  /** Sets a record of a bitmap. @throws {QdbError} NOT_FOUND; the bitmap's problem */
  setRecord(name: string, record: Exclude<ExtraRecord, { kind: "unknown" }>): void {
    const bitmap = this.#find(name);
    const entry = soundEntry(bitmap);
    bitmap.entry = { ...entry, extraData: withRecord(entry.extraData, record) };
  }

  /** What the next generation is to hold. */
  next(): BitmapChange[] {
    return this.#list.map(({ from, entry, bits, original }) => {
      const same = bits !== undefined && original !== undefined && bits.equals(original);
      return {
        ...(from === undefined ? {} : { from }),
        ...(entry === undefined || isSameEntry(from, entry) ? {} : { entry }),
        ...(bits === undefined || same ? {} : { bits, ...(original === undefined ? {} : { original }) }),
      };
    });
  }

  /** Whether anything is to change. */
  get isChange(): boolean {
    const next = this.next();
    return (
      next.length !== this.#state.mapped.length ||
      next.some(
        ({ from, entry, bits }, at) => from !== this.#state.mapped[at] || entry !== undefined || bits !== undefined,
      )
    );
  }

  /** What is wrong with the bitmaps that a rewrite of a draft makes all dirty: no checksum tells which of their bits are right. */
  doubted(): readonly Problem[] {
    return this.#list.flatMap((bitmap) => doubtOf(bitmap, this.#state.index) ?? []);
  }

  /** Everything that the file is to say, for one that is rewritten whole. @throws {QdbError} the problem of a bitmap that cannot be carried over */
  *contents(
    form: "full" | "draft",
    ids: { readonly fileId: Uint8Array; readonly writerId: Uint8Array },
  ): Plan<FileContents> {
    const { index } = this.#state;
    const bitmaps = [];
    for (const bitmap of this.#list) {
      const { nameBytes, flags, extraData } = entryOf(bitmap);
      const isDoubted = doubtOf(bitmap, index) !== undefined;
      const bits = isDoubted ? Bitmap.dirty(shapeOf(bitmap)) : yield* loadBits(bitmap, this.#options, true);
      bitmaps.push({ nameBytes, flags, extraData, bits });
    }
    const allOnes = form === "full" && (index.form === "draft" || index.allOnes);
    return { form, clusterBits: index.header.clusterBits, ...ids, allOnes, extensions: index.extensions, bitmaps };
  }

  #find(name: string): PendingBitmap {
    const named = this.#list.filter((candidate) => candidate.name === name);
    // A name that is no UTF-8 goes by its bytes in hex; a bitmap that is really called so comes first.
    const bitmap = named.find(isText) ?? named[0];
    if (bitmap === undefined)
      throw new QdbError("NOT_FOUND", "there is no bitmap of that name in the file", { bitmap: name });
    return bitmap;
  }

  /** The frozen bitmaps whose successor it is: more than one may name it. */
  #frozenOf(successor: PendingBitmap): readonly PendingBitmap[] {
    if (!isText(successor)) return [];
    return this.#list.filter((bitmap) => {
      const record = recordsOf(bitmap).find(({ type }) => type === RECORD.successor);
      const decoded = record === undefined ? undefined : decodeRecord(record);
      return decoded?.kind === "successor" && decoded.text === successor.name;
    });
  }

  #refuseBound(bitmap: PendingBitmap, what: string): void {
    const frozen = (entryOf(bitmap).flags & FLAG.frozen) !== 0;
    if (frozen || this.#frozenOf(bitmap).length > 0) {
      throw usage(`a frozen bitmap and its successor cannot be ${what}; release first`, bitmap.name);
    }
  }
}

/** Whether the name of a bitmap is text; one that is not goes by its bytes in hex. */
function isText({ entry, from }: PendingBitmap): boolean {
  return entry !== undefined || from?.entry.name !== undefined;
}
