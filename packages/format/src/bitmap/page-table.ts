import { byteAt } from "../elements.ts";
import type { Page } from "./page.ts";

/**
 * The pages of a bitmap, in order. A page that was not read from a file yet is undefined. Pages of zeros or ones take no memory but their
 * place in the list.
 */
export class PageTable {
  readonly #pages: (Page | undefined)[];
  /** For each page 1 if nobody else holds its words, so that they can be changed in place. Made at the first change. */
  #own: Uint8Array | undefined;
  #held = 0;

  private constructor(pages: (Page | undefined)[]) {
    this.#pages = pages;
    for (const page of pages) if (typeof page === "object") this.#held++;
  }

  /** Returns `count` pages that are all the same. */
  static all(count: number, page: "zeros" | "ones" | undefined): PageTable {
    return new PageTable(new Array<Page | undefined>(count).fill(page));
  }

  /** Number of pages. */
  get count(): number {
    return this.#pages.length;
  }

  /** Number of pages that are held as words. */
  get held(): number {
    return this.#held;
  }

  /** Returns a copy of the first `whole` pages, followed by pages of zeros: `count` pages in all. Words are shared until one of the two tables changes them. */
  copy(whole = this.count, count = whole): PageTable {
    this.#own = undefined;
    const pages = this.#pages.slice(0, whole);
    while (pages.length < count) pages.push("zeros");
    return new PageTable(pages);
  }

  /** Returns a page, for reading only; undefined if it is not read yet. @throws {RangeError} past the last page */
  page(at: number): Page | undefined {
    if (at >= this.#pages.length) throw new RangeError(`page ${at} of ${this.#pages.length} was asked for`);
    return this.#pages[at];
  }

  /** Sets a page; undefined makes it unread. The words may have other holders: they are copied before they are changed. */
  set(at: number, page: Page | undefined): void {
    if (typeof this.page(at) === "object") this.#held--;
    if (typeof page === "object") this.#held++;
    this.#pages[at] = page;
    if (this.#own !== undefined) this.#own[at] = 0;
  }

  /** Sets a page to words that nobody else holds. */
  setOwn(at: number, words: Uint32Array): void {
    this.set(at, words);
    this.#own ??= new Uint8Array(this.count);
    this.#own[at] = 1;
  }

  /** Sets the pages [first, end) to zeros or ones. */
  fill(first: number, end: number, page: "zeros" | "ones"): void {
    for (let at = first; at < end; at++) this.set(at, page);
  }

  /** Returns the words of a page that is held as words, for changing them in place. */
  ownWords(at: number): Uint32Array {
    const words = this.page(at);
    if (typeof words !== "object") throw new Error("the words of a page are missing");
    if (this.#own !== undefined && byteAt(this.#own, at) === 1) return words;
    const own = words.slice();
    this.setOwn(at, own);
    return own;
  }

  /** Yields each page that is held as words. */
  *words(): Generator<readonly [at: number, words: Uint32Array], void> {
    for (const [at, page] of this.#pages.entries()) if (typeof page === "object") yield [at, page];
  }

  /** Whether all pages are known to be the same as those of another table with as many: either the same words, or the same uniform page. */
  isSame(other: PageTable): boolean {
    return this.#pages.every((page, at) => page === other.#pages[at]);
  }
}
