import type { ContainerBitmap } from "../edit/container.ts";
import { QdbError } from "../errors.ts";
import { quote } from "../quote.ts";

/** Returns the error of a name that no bitmap has. */
export function notFound(name: string): QdbError {
  return new QdbError("NOT_FOUND", `there is no bitmap ${quote(name)} in the file`, { bitmap: name });
}

/** What is known of a bitmap of the file: its name, and the label that stands for a name that is not UTF-8. */
export type NamedBitmap = Pick<ContainerBitmap, "name" | "label">;

/** Number of names that are searched in the table one by one. With more of them, all names are kept, which can take 64 MiB and more. */
const MAX_SEARCHES = 16;

/**
 * The bitmaps of a file by name, as they are once all queued actions are done. A bitmap whose name is not UTF-8 goes by its label, and is
 * found only if no other bitmap has that name: the same is true of `Edits`, which does the actions.
 */
export class BitmapNames<B> {
  readonly #entries: readonly NamedBitmap[];
  readonly #make: (name: string) => B;
  /** Bitmaps by name; undefined for a name that is known to be free. */
  readonly #texts = new Map<string, B | undefined>();
  /** The same for the labels of bitmaps whose names are not UTF-8. */
  readonly #labels = new Map<string, B | undefined>();
  #searches = 0;

  /** `entries` are those of the file. `make` makes the bitmap of a name; several entries with one name are one bitmap. */
  constructor(entries: readonly NamedBitmap[], make: (name: string) => B) {
    this.#entries = entries;
    this.#make = make;
  }

  /** Returns the bitmap with a name; undefined if there is none. */
  get(name: string): B | undefined {
    return this.#find(this.#texts, name, (entry) => entry.name === name) ?? this.#getByLabel(name);
  }

  #getByLabel(label: string): B | undefined {
    return this.#find(this.#labels, label, (entry) => entry.name === undefined && entry.label === label);
  }

  #find(known: Map<string, B | undefined>, name: string, isIt: (entry: NamedBitmap) => boolean): B | undefined {
    if (!known.has(name)) {
      if (++this.#searches > MAX_SEARCHES) this.#keepAll();
      else known.set(name, this.#entries.some(isIt) ? this.#make(name) : undefined);
    }
    return known.get(name);
  }

  /** Keeps all names, the first time. */
  #keepAll(): void {
    if (this.#searches > MAX_SEARCHES + 1) return;
    for (const { name, label } of this.#entries) {
      const known = name === undefined ? this.#labels : this.#texts;
      if (!known.has(label)) known.set(label, this.#make(label));
    }
  }

  /** Adds a new bitmap. Does nothing if its name is taken: then the action that adds it fails. */
  add(name: string, bitmap: B): void {
    if (this.get(name) === undefined) this.#texts.set(name, bitmap);
  }

  /** Removes the bitmap that {@link get} returns. */
  remove(name: string): void {
    const known = this.#texts.get(name) === undefined ? this.#labels : this.#texts;
    known.set(name, undefined);
  }
}
