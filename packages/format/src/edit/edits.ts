import type { Bitmap } from "../bitmap/bitmap.ts";
import { type BitmapShape, bitsInward, bitsOutward, type DiskRange } from "../bitmap/shape.ts";
import { ClusterBits } from "../bits/cluster-bits.ts";
import { prepareGranularity, prepareInversion } from "../bits/combine-bits.ts";
import { readClusterBits } from "../bits/read-cluster-bits.ts";
import { exactInteger } from "../integers.ts";
import { encodeUtf8 } from "../layout/text.ts";
import type { Plan } from "../ports/plan.ts";
import type { BitmapSession, DiskStamp, ExtraRecord } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";
import {
  addDirt,
  changeBits,
  combining,
  type Prepare,
  prepareChange,
  prepareClear,
  removeDirt,
} from "./bit-actions.ts";
import { BitmapList } from "./bitmap-list.ts";
import { copyRecords, withRecord } from "./chain-records.ts";
import { type Container, type PendingChange, requireAbility, requireHoldable } from "./container.ts";
import type { EditOptions, EditSource, NewBitmap } from "./edit-options.ts";
import { markAll, rename, setEnabled } from "./entry-actions.ts";
import { findChanges } from "./find-changes.ts";
import { freeze, release } from "./freeze.ts";
import {
  bitsOf,
  entryOf,
  type PendingBitmap,
  removableEntry,
  shapeOf,
  soundEntry,
  usableEntry,
  usage,
} from "./pending-bitmap.ts";
import { beginSession, endSession, recover, withoutSession } from "./session.ts";

/**
 * Pending changes of the bitmaps of a file, in memory. Actions are done one after the other, and one commit writes all of them. An action
 * costs what it changes: it reads only clusters on whose bits its result depends, and a cluster that was not read stays where it is, with
 * its checksum. An action that would break a rule is refused (spec §3, §5 Dirt), and an action that fails changes nothing.
 *
 * The kind of an action decides whether it removes dirt: `unmark`, `clear`, `invert`, `intersect`, `subtract`, `xor` and a `resize` to a
 * smaller size do. A frozen bitmap refuses them, and any other bitmap gets a new id in its chain of backups. `change` is decided by
 * comparing the bits before and after it. Other actions never make a dirty bit clean.
 */
export class Edits {
  readonly #container: Container;
  readonly #options: EditOptions;
  readonly #list: BitmapList;

  /** Begins with no changes. The container is the file in the state that was opened. */
  constructor(container: Container, options: EditOptions) {
    this.#container = container;
    this.#options = options;
    this.#list = new BitmapList(container.bitmaps.map((from, index) => ({ from, index, name: from.label })));
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
   * @throws {QdbError} as {@link source}; BAD_CHECKSUM if a data cluster does not match its checksum; LIMIT if the bits take more than `maxBitmapBytes`
   */
  *bits(name: string): Plan<Bitmap> {
    return yield* readClusterBits(this.source(name), name, this.#options);
  }

  /**
   * Returns the bits of a bitmap with the changes so far, for {@link merge} and its like. They are read as they are needed. Actions that
   * follow have no effect on them.
   * @throws {QdbError} NOT_FOUND; BAD_CHECKSUM if the header was read from the mirror and that is not accepted; the code of the bitmap's first problem
   */
  source(name: string): ClusterBits {
    const bitmap = this.#list.find(name);
    this.#container.refuseSource(name);
    return bitsOf(bitmap, this.#options).fork();
  }

  /** Adds a bitmap after the others. It inherits no session. @throws {QdbError} ALREADY_EXISTS; SIZE_MISMATCH and NOT_SUPPORTED for what this kind of file cannot hold */
  add({ name, bits, flags, extraData }: NewBitmap): void {
    requireHoldable(this.#container, { name, bits, extraData });
    const entry = { nameBytes: encodeUtf8(name), flags, extraData: withoutSession(copyRecords(extraData)) };
    this.#list.add({ name, bits: this.#inMemory(bits), entry });
  }

  /** Replaces the bitmap of the same name. The new one inherits no session. @throws {QdbError} NOT_FOUND; USAGE if the bitmap is frozen or a successor; else as {@link add} */
  replace({ name, bits, flags, extraData }: NewBitmap): void {
    requireHoldable(this.#container, { name, bits, extraData });
    const bitmap = this.#list.find(name);
    this.#list.refuseBound(bitmap, "replaced");
    const entry = { nameBytes: encodeUtf8(name), flags, extraData: withoutSession(copyRecords(extraData)) };
    this.#list.setEntry(bitmap, entry);
    bitmap.bits = this.#inMemory(bits);
    delete bitmap.isNewPoint;
  }

  #inMemory(bits: Bitmap): ClusterBits {
    return ClusterBits.of(bits, { ...this.#options, clusterSize: this.#container.clusterSize });
  }

  /** Removes a bitmap, even a bitmap in error; if several have the name, all of them. @throws {QdbError} NOT_FOUND; USAGE for the successor of a frozen bitmap */
  remove(name: string): void {
    const bitmap = this.#list.find(name);
    const [frozen] = this.#list.frozenFor(bitmap);
    if (frozen !== undefined)
      throw usage(`it collects for the frozen bitmap ${JSON.stringify(frozen.name)}; release that one first`, name);
    this.#list.removeName(bitmap);
  }

  /** Marks every bit dirty that a range of the disk touches. Reads only clusters that the range covers in part. @throws {QdbError} as {@link change}; USAGE for a range that is not inside the disk */
  mark(name: string, range: DiskRange): Plan<void> {
    return this.#add(name, (bits) => bits.prepareRange(bitsOutward(range, bits), "ones"));
  }

  /** Marks every bit clean whose whole granule lies in a range of the disk. Reads only clusters that the range covers in part. @throws {QdbError} as {@link change}; USAGE for a range that is not inside the disk, and for a frozen bitmap */
  unmark(name: string, range: DiskRange): Plan<void> {
    return this.#remove(name, (bits) => bits.prepareRange(bitsInward(range, bits), "zeros"));
  }

  /** Makes every bit clean. Reads nothing. @throws {QdbError} as {@link change}; USAGE for a frozen bitmap */
  clear(name: string): Plan<void> {
    return this.#remove(name, prepareClear);
  }

  /** Makes dirty bits clean and clean bits dirty. @throws {QdbError} as {@link change}; USAGE for a frozen bitmap */
  invert(name: string): Plan<void> {
    return this.#remove(name, prepareInversion);
  }

  /** Adds the dirty bits of a source (OR), rounded outward if its granularity differs. Reads clusters that both have stored. @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size */
  merge(name: string, source: EditSource): Plan<void> {
    return this.#add(name, combining("merge", source));
  }

  /** Keeps the bits that are dirty in a source too (AND), rounded outward if its granularity differs. @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size; USAGE for a frozen bitmap */
  intersect(name: string, source: EditSource): Plan<void> {
    return this.#remove(name, combining("intersect", source));
  }

  /** Clears the bits that are dirty in a source (AND NOT), rounded inward if its granularity differs. @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size; USAGE for a frozen bitmap */
  subtract(name: string, source: EditSource): Plan<void> {
    return this.#remove(name, combining("subtract", source));
  }

  /** Keeps the bits that are dirty in exactly one of bitmap and source (XOR). @throws {QdbError} as {@link change}; SIZE_MISMATCH for another disk size; USAGE for another granularity, and for a frozen bitmap */
  xor(name: string, source: EditSource): Plan<void> {
    return this.#remove(name, combining("xor", source));
  }

  /** Changes the granularity of a bitmap. Rounding only makes more bytes dirty. @throws {QdbError} as {@link change}; USAGE for a granularity that the format does not allow; LIMIT above 2^32 bits */
  regranulate(name: string, granularity: number): Plan<void> {
    const options = { ...this.#options, clusterSize: this.#container.clusterSize };
    return this.#add(name, (bits) => prepareGranularity(bits, granularity, options));
  }

  /**
   * Changes the bits of a bitmap by a callback. The callback gets a copy of them, and returns bits of the same size and granularity. If a
   * bit is clean in the result that was dirty before, dirt is removed.
   * @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; BAD_CHECKSUM if a data cluster that is read does not match its checksum; LIMIT if the bits take more than `maxBitmapBytes`; USAGE for a result of another size or granularity, for dirt that is removed from a frozen bitmap, and if something else changed the bitmap meanwhile
   */
  change(name: string, callback: (bits: Bitmap) => Bitmap): Plan<void> {
    const bitmap = this.#list.find(name);
    return changeBits(bitmap, this.#listed(usableEntry), this.#options.newId, callback, this.#options);
  }

  /** Returns a check of a bitmap that also refuses one that was removed meanwhile. */
  #listed(refuse: (bitmap: PendingBitmap) => void): (bitmap: PendingBitmap) => void {
    return (bitmap) => {
      this.#list.requireListed(bitmap);
      refuse(bitmap);
    };
  }

  *#add(name: string, prepare: Prepare): Plan<void> {
    const bitmap = this.#list.find(name);
    addDirt(bitmap, yield* prepareChange(bitmap, this.#listed(usableEntry), prepare, this.#options));
  }

  *#remove(name: string, prepare: Prepare): Plan<void> {
    const bitmap = this.#list.find(name);
    removeDirt(
      bitmap,
      this.#options.newId,
      yield* prepareChange(bitmap, this.#listed(removableEntry), prepare, this.#options),
    );
  }

  /** Makes every bit dirty. An inconsistent bitmap can be used again after that, and its session has ended. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem if its records cannot be parsed */
  markAll(name: string): void {
    markAll(this.#list, name, { ...this.#options, clusterSize: this.#container.clusterSize });
  }

  /** Sets or clears the enabled flag. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; USAGE for enabling a frozen bitmap */
  setEnabled(name: string, enabled: boolean): void {
    setEnabled(this.#list, name, enabled);
  }

  /** Gives a bitmap another name, also in the record of a frozen bitmap whose successor it is. @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the code of the first problem of either bitmap; USAGE for a bitmap in a session */
  rename(name: string, to: string): void {
    rename(this.#list, name, to);
  }

  /**
   * Adapts a bitmap to a disk of another size. The area that is added is dirty, or clean if the caller states that no byte there changed.
   * @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; USAGE for an impossible size, and for a bitmap that is frozen or a successor; LIMIT above 2^32 bits
   */
  *resize(name: string, size: number | bigint, newArea: "dirty" | "clean"): Plan<void> {
    const bytes = exactInteger(size, "size");
    requireAbility(this.#container, "resize", name);
    const bitmap = this.#list.find(name);
    const refuse = this.#listed((found) => {
      this.#list.refuseBound(found, "resized");
      usableEntry(found);
    });
    const apply = yield* prepareChange(bitmap, refuse, (bits) => bits.prepareResize(bytes, newArea), this.#options);
    if (bytes < shapeOf(bitmap).size) removeDirt(bitmap, this.#options.newId, apply);
    else addDirt(bitmap, apply);
  }

  /**
   * Freezes a bitmap for a backup: its successor, a new bitmap, collects writes (spec §3). `created` is in ns since the epoch.
   * @throws {QdbError} NOT_FOUND, ALREADY_EXISTS; the code of the bitmap's first problem; USAGE if the bitmap is frozen or a successor
   */
  freeze(name: string, successor: string, created?: bigint): void {
    requireAbility(this.#container, "freeze", name);
    const { clusterSize } = this.#container;
    freeze(this.#list, name, successor, { newId: this.#options.newId, clusterSize, created });
  }

  /**
   * Ends a freeze. `done`: the frozen bitmap is removed. `failed`: its successor gets its dirty bits, and its id and parent in the chain.
   * @throws {QdbError} NOT_FOUND; USAGE if the bitmap is not frozen; the code of the first problem of either bitmap; for `failed`, BAD_CHECKSUM if the header was read from the mirror and that is not accepted
   */
  *release(name: string, outcome: "done" | "failed"): Plan<void> {
    requireAbility(this.#container, "freeze", name);
    yield* release(this.#list, name, outcome, this.#container, this.#options);
  }

  /**
   * Begins a session of a bitmap: sets in_use and the record of the session (spec §5, Sessions). The commit has to be done before
   * anything collects in the shell.
   * @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem, INCONSISTENT if it is in use; USAGE if it is frozen or not enabled, and for a session that the format does not allow
   */
  beginSession(name: string, session: BitmapSession): void {
    requireAbility(this.#container, "records", name);
    beginSession(this.#list, name, session);
  }

  /**
   * Ends the session of a bitmap: what is dirty in the file or in the shell is dirty, and in_use and the session are gone. The bits of the
   * shell are rounded outward if their granularity differs. The ids stay, since no dirt is removed. Without a new stamp of the disk, the
   * old one stays.
   * @throws {QdbError} NOT_FOUND; USAGE if the bitmap is not in use; INCONSISTENT if it is in use without a session, or for another one; SIZE_MISMATCH for another disk size; the code of the bitmap's first other problem; BAD_CHECKSUM
   */
  endSession(name: string, session: BitmapSession, collected: EditSource, diskStamp?: DiskStamp): Plan<void> {
    return endSession(this.#list, name, { session, collected, diskStamp }, this.#options);
  }

  /** Makes a bitmap usable whose bits may be outdated: dirty is what it has in the file, and what `missed` has. @throws {QdbError} NOT_FOUND; USAGE if its bits can be used, or a shell has them; SIZE_MISMATCH; the code of its first other problem */
  recover(name: string, missed: EditSource): Plan<void> {
    return recover(this.#list, name, missed, this.#options);
  }

  /** Sets a record of a bitmap. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem */
  setRecord(name: string, record: Exclude<ExtraRecord, { kind: "unknown" | "session" }>): void {
    const bitmap = this.#list.find(name);
    const entry = soundEntry(bitmap);
    requireAbility(this.#container, "records", name);
    this.#list.setEntry(bitmap, { ...entry, extraData: withRecord(entry.extraData, record) });
  }

  /**
   * Returns what a commit stores of each bitmap, in order; undefined if nothing changes. Bits that equal those in the file do not count as
   * changed. Actions that follow have no effect on the result.
   */
  *findChanges(): Plan<readonly PendingChange[] | undefined> {
    return yield* findChanges(this.#list.all(), this.#container);
  }
}
