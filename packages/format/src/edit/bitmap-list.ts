import { QdbError } from "../errors.ts";
import { quote } from "../quote.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import { entryOf, hasTextName, type PendingBitmap, successorIn, successorOf, usage } from "./pending-bitmap.ts";

/** The bitmaps of a file in the order of its table, with pending changes. Looking one up takes the same time however many there are. */
export class BitmapList {
  readonly #bitmaps = new Set<PendingBitmap>();
  readonly #named = new Map<string, Set<PendingBitmap>>();
  /** The bitmaps that name a successor, by its name. Made when it is first needed, and after it has changed. */
  #frozen: Map<string, PendingBitmap[]> | undefined;

  constructor(bitmaps: Iterable<PendingBitmap>) {
    for (const bitmap of bitmaps) this.#insert(bitmap);
  }

  #insert(bitmap: PendingBitmap): void {
    this.#bitmaps.add(bitmap);
    const named = this.#named.get(bitmap.name);
    if (named === undefined) this.#named.set(bitmap.name, new Set([bitmap]));
    else named.add(bitmap);
  }

  /** Returns all bitmaps, in the order of the table. */
  all(): readonly PendingBitmap[] {
    return [...this.#bitmaps];
  }

  /** Whether there is a bitmap with a name. */
  has(name: string): boolean {
    return this.#named.has(name);
  }

  /** Returns the bitmap with a name. @throws {QdbError} NOT_FOUND */
  find(name: string): PendingBitmap {
    const named = [...(this.#named.get(name) ?? [])];
    // The label of a bitmap whose name is not UTF-8 can be the name of another bitmap: then that other bitmap is returned.
    const bitmap = named.find(hasTextName) ?? named[0];
    if (bitmap === undefined)
      throw new QdbError("NOT_FOUND", `there is no bitmap ${quote(name)} in the file`, { bitmap: name });
    return bitmap;
  }

  /** Refuses a bitmap that was removed while its bits were read. @throws {QdbError} NOT_FOUND */
  requireListed(bitmap: PendingBitmap): void {
    if (!this.#bitmaps.has(bitmap))
      throw new QdbError("NOT_FOUND", "the bitmap was removed meanwhile", { bitmap: bitmap.name });
  }

  /** Adds a bitmap at the end. @throws {QdbError} ALREADY_EXISTS */
  add(bitmap: PendingBitmap): void {
    this.refuseExisting(bitmap.name);
    this.#insert(bitmap);
    if (successorOf(bitmap) !== undefined) this.#frozen = undefined;
  }

  /** Removes a bitmap. */
  remove(bitmap: PendingBitmap): void {
    this.#bitmaps.delete(bitmap);
    this.#forgetName(bitmap);
    if (successorOf(bitmap) !== undefined) this.#frozen = undefined;
  }

  #forgetName(bitmap: PendingBitmap): void {
    const named = this.#named.get(bitmap.name);
    named?.delete(bitmap);
    if (named?.size === 0) this.#named.delete(bitmap.name);
  }

  /** Removes a bitmap and all others with its name. None of them could be used, since the name does not tell them apart. */
  removeName(bitmap: PendingBitmap): void {
    for (const other of [...(this.#named.get(bitmap.name) ?? [])])
      if (hasTextName(other) === hasTextName(bitmap)) this.remove(other);
  }

  /** Sets the entry of a bitmap, and its name if that changes too. */
  setEntry(bitmap: PendingBitmap, entry: EntryContents, name = bitmap.name): void {
    if (successorOf(bitmap) !== successorIn(entry.extraData)) this.#frozen = undefined;
    bitmap.entry = entry;
    if (name === bitmap.name) return;
    this.#forgetName(bitmap);
    bitmap.name = name;
    this.#insert(bitmap);
  }

  /** Returns the frozen bitmaps that name a bitmap as their successor. In a damaged file there can be several. */
  frozenFor(successor: PendingBitmap): readonly PendingBitmap[] {
    if (!hasTextName(successor)) return [];
    this.#frozen ??= this.#bySuccessor();
    return this.#frozen.get(successor.name) ?? [];
  }

  #bySuccessor(): Map<string, PendingBitmap[]> {
    const frozen = new Map<string, PendingBitmap[]>();
    for (const bitmap of this.#bitmaps) {
      const successor = successorOf(bitmap);
      if (successor === undefined) continue;
      const others = frozen.get(successor);
      if (others === undefined) frozen.set(successor, [bitmap]);
      else others.push(bitmap);
    }
    return frozen;
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
