import { itemAt } from "../elements.ts";

/** The numbers of dirty bits of pages, kept from one count to the next. */
export class PageCounts {
  /** For each page the number of its dirty bits, or -1 if it has to be counted. Made at the first count. */
  #counts: number[] | undefined;
  /** The sum of the counts; -1 if it has to be made. */
  #total = -1;

  /** Returns a copy. */
  copy(): PageCounts {
    const copy = new PageCounts();
    copy.#counts = this.#counts?.slice();
    copy.#total = this.#total;
    return copy;
  }

  /** Forgets the count of a page, which has changed. */
  forget(page: number): void {
    this.#total = -1;
    if (this.#counts !== undefined) this.#counts[page] = -1;
  }

  /** Adds to the count of a page the number of bits that have become dirty; negative for bits that have become clean. */
  add(page: number, bits: number): void {
    if (this.#counts === undefined) return;
    const count = this.#counts[page];
    if (count !== undefined && count >= 0) this.#counts[page] = count + bits;
    if (this.#total >= 0) this.#total += bits;
  }

  /** Returns the sum for a number of pages. `countOf` counts a page. */
  total(pages: number, countOf: (page: number) => number): number {
    if (this.#total >= 0) return this.#total;
    this.#counts ??= new Array<number>(pages).fill(-1);
    let total = 0;
    for (let page = 0; page < pages; page++) {
      let count = itemAt(this.#counts, page);
      if (count < 0) {
        count = countOf(page);
        this.#counts[page] = count;
      }
      total += count;
    }
    this.#total = total;
    return total;
  }
}
