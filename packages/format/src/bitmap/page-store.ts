import { byteAt } from "../elements.ts";
import {
  dropAll,
  dropSlot,
  references,
  SLOT_WORDS,
  shareSlot,
  slotWords,
  takeSlot,
  watchSlots,
} from "../kernels/slots.ts";
import { clearFrom, type Page, type PageKind, pageOfWords } from "./page.ts";
import * as kernel from "./words.ts";

/** Bits per page: 64 KiB of words. */
export const PAGE_BITS = SLOT_WORDS * 32;

/**
 * The pages of a bitmap in memory. A page of zeros or ones takes no memory. The words of a page are in a slot, or in an array: pages of less
 * than half a slot, and what has no slot. Copies share words until one of them changes them. Words that are returned are views, valid until
 * a page of any bitmap changes or is made.
 */
export class PageStore {
  readonly #bitCount: number;
  /** For each page its slot; 0 if it has none. */
  readonly slots: number[];
  /** The pages that are in no slot. */
  readonly #pages: Page[];
  /** For each page 1 if nobody else holds its array. Made at the first change. */
  #own: Uint8Array | undefined;
  /** Number of pages that are in slots. */
  #inSlots = 0;
  #isWatched = false;

  /** Makes pages that are all the same. */
  constructor(bitCount: number, page: "zeros" | "ones") {
    this.#bitCount = bitCount;
    const count = Math.ceil(bitCount / PAGE_BITS);
    this.#pages = new Array<Page>(count).fill(page);
    this.slots = new Array<number>(count).fill(0);
  }

  /** Number of pages. */
  get count(): number {
    return this.#pages.length;
  }

  /** Returns the number of bits of a page. */
  bitsIn(at: number): number {
    return Math.min(PAGE_BITS, this.#bitCount - at * PAGE_BITS);
  }

  /** Returns what is known of a page without its words. */
  kind(at: number): PageKind {
    if (this.#slotOf(at) !== 0) return "words";
    const page = this.#inArray(at);
    return typeof page === "string" ? page : "words";
  }

  /** Returns a page, for reading only. */
  page(at: number): Page {
    const slot = this.#slotOf(at);
    return slot === 0 ? this.#inArray(at) : slotWords(slot, kernel.wordsFor(this.bitsIn(at)));
  }

  /** Whether a page is known to be the same as that of another store: the same words, or the same uniform page. */
  isSame(at: number, other: PageStore): boolean {
    return this.#slotOf(at) === other.#slotOf(at) && this.#inArray(at) === other.#inArray(at);
  }

  #slotOf(at: number): number {
    const slot = this.slots[at];
    if (slot === undefined) throw new RangeError(`page ${at} of ${this.count} was asked for`);
    return slot;
  }

  #inArray(at: number): Page {
    const page = this.#pages[at];
    if (page === undefined) throw new RangeError(`page ${at} of ${this.count} was asked for`);
    return page;
  }

  /** Makes a page uniform. */
  set(at: number, page: "zeros" | "ones"): void {
    this.#put(at, page, 0);
  }

  #put(at: number, page: Page, slot: number): void {
    const before = this.#slotOf(at);
    this.#pages[at] = page;
    this.slots[at] = slot;
    if (before !== 0) {
      dropSlot(before);
      this.#inSlots--;
    }
    if (this.#own !== undefined) this.#own[at] = 0;
    if (slot === 0) return;
    this.#inSlots++;
    if (this.#isWatched) return;
    this.#isWatched = true;
    watchSlots(this, this.slots);
  }

  /** Gives a page new words, which are zero with `isClear`; otherwise the caller writes all of them. Returns them. */
  renew(at: number, isClear: boolean): Uint32Array {
    const length = kernel.wordsFor(this.bitsIn(at));
    const slot = length < SLOT_WORDS / 2 ? undefined : takeSlot(isClear || length < SLOT_WORDS, this.#inSlots);
    if (slot !== undefined) {
      this.#put(at, "zeros", slot);
      return slotWords(slot, length);
    }
    const words = new Uint32Array(length);
    this.#put(at, words, 0);
    this.#own ??= new Uint8Array(this.count);
    this.#own[at] = 1;
    return words;
  }

  /** Returns the words of a page for changing them in place. */
  ownWords(at: number): Uint32Array {
    const slot = this.#slotOf(at);
    const page = this.#inArray(at);
    const bits = this.bitsIn(at);
    if (slot !== 0) {
      if (references[slot] === 1) return slotWords(slot, kernel.wordsFor(bits));
      // The reference is kept until the words are copied.
      shareSlot(slot);
      const words = this.renew(at, false);
      words.set(slotWords(slot, words.length));
      dropSlot(slot);
      return words;
    }
    if (typeof page === "object" && this.#own !== undefined && byteAt(this.#own, at) === 1) return page;
    const words = this.renew(at, typeof page === "string");
    if (page === "ones") kernel.fillBits(words, 0, bits, true);
    else if (page !== "zeros") words.set(page);
    return words;
  }

  /** Moves a page from an array into a slot, if there is one. */
  moveToSlot(at: number): void {
    const page = this.#inArray(at);
    if (this.#slotOf(at) !== 0 || typeof page === "string" || page.length < SLOT_WORDS / 2) return;
    const slot = takeSlot(page.length < SLOT_WORDS, this.#inSlots);
    if (slot === undefined) return;
    slotWords(slot, page.length).set(page);
    this.#put(at, "zeros", slot);
  }

  /** Makes a page of words, which are copied. Bits past the last one are ignored. */
  copyIn(at: number, words: Uint32Array): void {
    const own = this.renew(at, false);
    // A view of a slot is detached, and has no words, once the memory has grown.
    if (words.length < own.length) throw new RangeError("words of a page are missing");
    own.set(words.subarray(0, own.length));
    clearFrom(own, this.bitsIn(at));
  }

  /** Makes a page the same as that of another store, which has as many bits. Words in a slot are shared. */
  share(at: number, other: PageStore): void {
    const slot = other.#slotOf(at);
    const page = other.#inArray(at);
    if (slot !== 0) {
      shareSlot(slot);
      this.#put(at, "zeros", slot);
    } else if (typeof page === "string") {
      this.#put(at, page, 0);
    } else {
      this.copyIn(at, page);
    }
  }

  /** Makes a page uniform if all of its bits are equal. */
  settle(at: number): void {
    const page = this.page(at);
    if (typeof page === "string") return;
    const settled = pageOfWords(page, this.bitsIn(at));
    if (typeof settled === "string") this.set(at, settled);
  }

  /** Returns a copy of the first pages of as many as a number of bits takes, followed by pages of zeros. Words are shared. */
  copy(bitCount: number, whole: number): PageStore {
    const result = new PageStore(bitCount, "zeros");
    this.#own = undefined;
    for (let at = 0; at < whole; at++) {
      const slot = this.#slotOf(at);
      if (slot !== 0) shareSlot(slot);
      result.#put(at, this.#inArray(at), slot);
    }
    return result;
  }

  /** Gives the slots back. Every later use throws. */
  free(): void {
    dropAll(this.slots);
    this.#pages.fill("zeros");
  }
}
