import { itemAt, wordAt } from "../elements.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";

/** Finds entries of a table by name, byte for byte. It keeps only the order of the names, since the names of a table can take 64 MiB. */
export class NameLookup {
  readonly #entries: readonly BitmapEntry[];
  /** Indices of the entries, sorted by name. Entries with equal names are in the order of the table. */
  readonly #order: Uint32Array;
  /** For each entry, 1 if another entry has the same name. */
  readonly #isDuplicate: Uint8Array;

  constructor(entries: readonly BitmapEntry[]) {
    this.#entries = entries;
    this.#order = new Uint32Array(entries.length).map((_, index) => index);
    this.#order.sort((a, b) => itemAt(entries, a).compareName(itemAt(entries, b).nameBytes));
    this.#isDuplicate = new Uint8Array(entries.length);
    for (let rank = 1; rank < this.#order.length; rank++) {
      const before = wordAt(this.#order, rank - 1);
      const index = wordAt(this.#order, rank);
      if (itemAt(entries, before).compareName(itemAt(entries, index).nameBytes) === 0)
        this.#isDuplicate[before] = this.#isDuplicate[index] = 1;
    }
  }

  /** Whether another entry has the same name as the entry at an index. */
  isDuplicate(index: number): boolean {
    return this.#isDuplicate[index] === 1;
  }

  /** Returns the index of the first entry with a name; undefined if no entry has it. */
  first(name: Uint8Array): number | undefined {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle, name) < 0) low = middle + 1;
      else high = middle;
    }
    if (low === this.#order.length || this.#compare(low, name) !== 0) return undefined;
    return wordAt(this.#order, low);
  }

  #compare(rank: number, name: Uint8Array): number {
    return itemAt(this.#entries, wordAt(this.#order, rank)).compareName(name);
  }
}
