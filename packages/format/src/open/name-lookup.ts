import type { BitmapEntry } from "../records/bitmap-entry.ts";

/** The names of a table's entries, compared byte for byte. Places in the order of the names, not the names themselves: they can be long. */
export class NameLookup {
  readonly #entries: readonly BitmapEntry[];
  readonly #order: Uint32Array;
  /** Of each entry, whether another one has its name. */
  readonly #isDouble: Uint8Array;

  constructor(entries: readonly BitmapEntry[]) {
    this.#entries = entries;
    this.#order = new Uint32Array(entries.length).map((_, position) => position);
    this.#order.sort((a, b) => this.#compare(a, b));
    this.#isDouble = new Uint8Array(entries.length);
    for (let place = 1; place < this.#order.length; place++) {
      const before = this.#order[place - 1] ?? 0;
      const position = this.#order[place] ?? 0;
      if (this.#compare(before, position) === 0) this.#isDouble[before] = this.#isDouble[position] = 1;
    }
  }

  #compare(a: number, b: number): number {
    const other = this.#entries[b];
    return other === undefined ? 0 : this.#compareTo(a, other.nameBytes);
  }

  #compareTo(position: number, name: Uint8Array): number {
    return this.#entries[position]?.compareName(name) ?? 0;
  }

  /** Whether another entry has the name of the one at a place in the table. */
  isDouble(position: number): boolean {
    return this.#isDouble[position] === 1;
  }

  /** Place in the table of the first entry with a name; undefined when none has it. */
  first(name: Uint8Array): number | undefined {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compareTo(this.#order[middle] ?? 0, name) < 0) low = middle + 1;
      else high = middle;
    }
    // The order keeps equal names as the table has them.
    const position = this.#order[low];
    return position !== undefined && this.#compareTo(position, name) === 0 ? position : undefined;
  }
}
