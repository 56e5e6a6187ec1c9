import { QdbError } from "../errors.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { entryOf, hasTextName, type PendingBitmap, successorOf, usage } from "./pending-bitmap.ts";

/** The bitmaps of a file in the order of its table, with pending changes. */
export class BitmapList {
  #bitmaps: readonly PendingBitmap[];

  constructor(bitmaps: readonly PendingBitmap[]) {
    this.#bitmaps = bitmaps;
  }

  /** Returns all bitmaps, in the order of the table. */
  all(): readonly PendingBitmap[] {
    return this.#bitmaps;
  }

  /** Whether there is a bitmap with a name. */
  has(name: string): boolean {
    return this.#bitmaps.some((bitmap) => bitmap.name === name);
  }

  /** Returns the bitmap with a name. @throws {QdbError} NOT_FOUND */
  find(name: string): PendingBitmap {
    const named = this.#bitmaps.filter((bitmap) => bitmap.name === name);
    // The label of a bitmap whose name is not UTF-8 can be the name of another bitmap: then that other bitmap is returned.
    const bitmap = named.find(hasTextName) ?? named[0];
    if (bitmap === undefined)
      throw new QdbError("NOT_FOUND", "there is no bitmap of that name in the file", { bitmap: name });
    return bitmap;
  }

  /** Adds a bitmap at the end. @throws {QdbError} ALREADY_EXISTS */
  add(bitmap: PendingBitmap): void {
    this.refuseExisting(bitmap.name);
    this.#bitmaps = [...this.#bitmaps, bitmap];
  }

  /** Removes a bitmap. */
  remove(bitmap: PendingBitmap): void {
    this.#bitmaps = this.#bitmaps.filter((other) => other !== bitmap);
  }

  /** Removes a bitmap and all others with its name. None of them could be used, since the name does not tell them apart. */
  removeName(bitmap: PendingBitmap): void {
    this.#bitmaps = this.#bitmaps.filter(
      (other) => other.name !== bitmap.name || hasTextName(other) !== hasTextName(bitmap),
    );
  }

  /** Returns the frozen bitmaps that name a bitmap as their successor. In a damaged file there can be several. */
  frozenFor(successor: PendingBitmap): readonly PendingBitmap[] {
    if (!hasTextName(successor)) return [];
    return this.#bitmaps.filter((bitmap) => successorOf(bitmap) === successor.name);
  }

  /** Refuses a name that a bitmap has already. @throws {QdbError} ALREADY_EXISTS */
  refuseExisting(name: string): void {
    if (this.has(name))
      throw new QdbError("ALREADY_EXISTS", "a bitmap of that name is there already", { bitmap: name });
  }

  /** Refuses a bitmap that is frozen or the successor of a frozen bitmap. `action` is a participle for the message, such as "resized". @throws {QdbError} USAGE; as {@link entryOf} */
  refuseBound(bitmap: PendingBitmap, action: string): void {
    const isFrozen = (entryOf(bitmap).flags & FLAG.frozen) !== 0;
    if (isFrozen || this.frozenFor(bitmap).length > 0)
      throw usage(`a frozen bitmap and its successor cannot be ${action}; release first`, bitmap.name);
  }
}
