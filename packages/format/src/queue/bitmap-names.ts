import type { BitmapEntry } from "../records/bitmap-entry.ts";

/**
 * The bitmaps of a file by name, as they are once all queued actions are done. A bitmap whose name is not UTF-8 goes by its label, and is
 * found only if no other bitmap has that name: the same is true of `Edits`, which does the actions.
 */
export class BitmapNames<B> {
  readonly #texts = new Map<string, B>();
  readonly #labels = new Map<string, B>();

  /** Adds a bitmap of the file. Of several with one name only the first is added. `make` makes it of its name. */
  addStored({ name, label }: BitmapEntry, make: (name: string) => B): void {
    const map = name === undefined ? this.#labels : this.#texts;
    if (!map.has(label)) map.set(label, make(label));
  }

  /** Returns the bitmap with a name; undefined if there is none. */
  get(name: string): B | undefined {
    return this.#texts.get(name) ?? this.#labels.get(name);
  }

  /** Adds a new bitmap. Does nothing if its name is taken: then the action that adds it fails. */
  add(name: string, bitmap: B): void {
    if (this.get(name) === undefined) this.#texts.set(name, bitmap);
  }

  /** Removes the bitmap that {@link get} returns. */
  remove(name: string): void {
    if (!this.#texts.delete(name)) this.#labels.delete(name);
  }
}
