import { wordAt } from "../elements.ts";
import { type Combination, combineWords } from "./combination.ts";
import {
  combinePages,
  equalPages,
  invertPage,
  kindOfPage,
  outcomeOf,
  type Page,
  type PageKind,
  pageOfWords,
  wordsOfPage,
} from "./page.ts";
import { kindOfRange, wordsOfRange } from "./page-ranges.ts";
import { PageTable } from "./page-table.ts";
import type { BitRange } from "./shape.ts";
import * as kernel from "./words.ts";

/** Bits per page: 64 KiB of words. */
export const PAGE_BITS = 2 ** 19;
const PAGE_BYTES = PAGE_BITS / 8;

/** Bits in memory, in pages. A page of zeros or ones takes no memory. Copies share their words until one of them changes them. */
export class PagedBits {
  /** Number of bits. */
  readonly bitCount: number;
  readonly #table: PageTable;

  private constructor(bitCount: number, table: PageTable) {
    this.bitCount = bitCount;
    this.#table = table;
  }

  /** Returns bits that are all clean ("zeros") or all dirty ("ones"). */
  static uniform(bitCount: number, page: "zeros" | "ones"): PagedBits {
    return new PagedBits(bitCount, PageTable.all(Math.ceil(bitCount / PAGE_BITS), page));
  }

  /** Returns bits of which `pageOf` makes each page. The caller does not change their words any more. */
  static from(bitCount: number, pageOf: (range: BitRange) => Page): PagedBits {
    const bits = PagedBits.uniform(bitCount, "zeros");
    for (let at = 0; at < bits.#table.count; at++) {
      const range = bits.#rangeOf(at);
      const page = pageOf(range);
      bits.#table.set(at, typeof page === "string" ? page : pageOfWords(page, range.end - range.first));
    }
    return bits;
  }

  /** Returns a copy. */
  copy(): PagedBits {
    return new PagedBits(this.bitCount, this.#table.copy());
  }

  /** Returns a copy with another number of bits. Bits that are added are clean. */
  resized(bitCount: number): PagedBits {
    const smaller = Math.min(bitCount, this.bitCount);
    const whole = Math.floor(smaller / PAGE_BITS);
    const bits = new PagedBits(bitCount, this.#table.copy(whole, Math.ceil(bitCount / PAGE_BITS)));
    const rest = smaller - whole * PAGE_BITS;
    if (rest > 0) bits.mergeWords(whole * PAGE_BITS, this.#sliceOf(whole, rest));
    return bits;
  }

  /** Returns a copy of the first `count` bits of a page. */
  #sliceOf(page: number, count: number): Uint32Array {
    return kernel.sliceBits(this.#words(page), 0, count).slice();
  }

  #rangeOf(page: number): BitRange {
    return { first: page * PAGE_BITS, end: Math.min((page + 1) * PAGE_BITS, this.bitCount) };
  }

  #bitsIn(page: number): number {
    return Math.min(PAGE_BITS, this.bitCount - page * PAGE_BITS);
  }

  #page(at: number): Page {
    const page = this.#table.page(at);
    if (page === undefined) throw new Error("a page in memory is unread");
    return page;
  }

  #words(at: number): Uint32Array {
    return wordsOfPage(this.#page(at), this.#bitsIn(at));
  }

  /** Returns the words of a page for changing them in place. */
  #ownWords(at: number): Uint32Array {
    const page = this.#page(at);
    if (typeof page === "object") return this.#table.ownWords(at);
    const words = wordsOfPage(page, this.#bitsIn(at));
    this.#table.setOwn(at, words);
    return words;
  }

  /** Returns whether a range of bits is all clean ("zeros"), all dirty ("ones"), or neither. */
  kindOf(range: BitRange): PageKind {
    const kind = kindOfRange(range, PAGE_BITS, (page) => kindOfPage(this.#page(page)));
    if (kind !== "words") return kind;
    if (this.next(range.first, true, range.end) < 0) return "zeros";
    return this.next(range.first, false, range.end) < 0 ? "ones" : "words";
  }

  /** Returns a range of bits, the first of them as bit 0, for reading only, valid until the bits change. */
  pageAt(range: BitRange): Page {
    const kind = this.kindOf(range);
    return kind === "words" ? wordsOfRange(range, PAGE_BITS, this.bitCount, (page) => this.#page(page)) : kind;
  }

  /** Returns a copy of the bytes [start, start + length) of the bits, the least significant bit first. Past the last bit they are zero. */
  bytes(start: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    const end = Math.min(start + length, this.#table.count * PAGE_BYTES);
    for (let at = start; at < end; ) {
      const page = Math.floor(at / PAGE_BYTES);
      const stop = Math.min(end, (page + 1) * PAGE_BYTES);
      const value = this.#page(page);
      if (value !== "zeros")
        result.set(kernel.viewAsBytes(this.#words(page), at - page * PAGE_BYTES, stop - at), at - start);
      at = stop;
    }
    return result;
  }

  /** Returns the same bytes as {@link bytes}, for reading only: a view if they lie in one page, and the byte order of the machine allows one. */
  view(start: number, length: number): Uint8Array {
    const page = Math.floor(start / PAGE_BYTES);
    const words = page < this.#table.count ? this.#page(page) : "zeros";
    if (typeof words === "string" || start + length > (page + 1) * PAGE_BYTES) return this.bytes(start, length);
    return kernel.viewAsBytes(words, start - page * PAGE_BYTES, length);
  }

  /** Whether a bit is dirty. */
  isDirty(bit: number): boolean {
    const at = Math.floor(bit / PAGE_BITS);
    const page = this.#page(at);
    if (typeof page === "string") return page === "ones";
    const index = bit - at * PAGE_BITS;
    return ((wordAt(page, index >>> 5) >>> (index & 31)) & 1) === 1;
  }

  /** Makes bits clean ("zeros") or dirty ("ones"). */
  fill({ first, end }: BitRange, kind: "zeros" | "ones"): void {
    for (let bit = first; bit < end; ) {
      const at = Math.floor(bit / PAGE_BITS);
      const start = at * PAGE_BITS;
      const stop = Math.min(end, start + this.#bitsIn(at));
      if (bit === start && stop - start === this.#bitsIn(at)) this.#table.set(at, kind);
      else if (this.#page(at) !== kind) kernel.fillBits(this.#ownWords(at), bit - start, stop - start, kind === "ones");
      bit = stop;
    }
  }

  /** Merges words (OR) from bit `base` on, a multiple of 32. Bits past the last one are ignored. */
  mergeWords(base: number, words: Uint32Array): void {
    const count = Math.min(words.length * 32, this.bitCount - base);
    for (let done = 0; done < count; ) {
      const at = Math.floor((base + done) / PAGE_BITS);
      const start = base + done - at * PAGE_BITS;
      const length = Math.min(this.#bitsIn(at) - start, count - done);
      const part = words.subarray(done / 32, done / 32 + kernel.wordsFor(length));
      done += length;
      if (this.#page(at) === "ones" || kernel.nextBit(part, 0, length, true) < 0) continue;
      const own = this.#ownWords(at);
      kernel.orWords(own.subarray(start / 32, start / 32 + part.length), part);
      kernel.fillBits(own, this.#bitsIn(at), own.length * 32, false);
    }
  }

  /** Returns the number of dirty bits. */
  count(): number {
    let count = 0;
    for (let at = 0; at < this.#table.count; at++) {
      const page = this.#page(at);
      if (page === "ones") count += this.#bitsIn(at);
      else if (page !== "zeros") count += kernel.countBits(page);
    }
    return count;
  }

  /** Returns the first bit in [from, end) that is dirty, or clean if `value` is false; -1 if there is none. */
  next(from: number, value: boolean, end = this.bitCount): number {
    const other = value ? "zeros" : "ones";
    for (let bit = Math.max(0, from); bit < end; ) {
      const at = Math.floor(bit / PAGE_BITS);
      const start = at * PAGE_BITS;
      const page = this.#page(at);
      if (typeof page === "object") {
        const found = kernel.nextBit(page, bit - start, Math.min(end - start, this.#bitsIn(at)), value);
        if (found >= 0) return start + found;
      } else if (page !== other) return bit;
      bit = start + PAGE_BITS;
    }
    return -1;
  }

  /** Combines the bits with those of a source of as many bits. `sourceAt` returns the page of a range. */
  combine(how: Combination, sourceAt: (range: BitRange) => Page): void {
    for (let at = 0; at < this.#table.count; at++) {
      const target = this.#page(at);
      const source = sourceAt(this.#rangeOf(at));
      if (outcomeOf(how, kindOfPage(target), kindOfPage(source)) === "both" && typeof source === "object") {
        const words = this.#ownWords(at);
        combineWords(how, words, source);
        const page = pageOfWords(words, this.#bitsIn(at));
        if (typeof page === "string") this.#table.set(at, page);
      } else {
        const page = combinePages(how, target, source, this.#bitsIn(at));
        // The words of a source can be a view of a longer array, which would stay in memory.
        if (page !== target) this.#table.set(at, page === source && typeof page === "object" ? page.slice() : page);
      }
    }
  }

  /** Makes every dirty bit clean and every clean bit dirty. */
  invert(): void {
    for (let at = 0; at < this.#table.count; at++) {
      const page = this.#page(at);
      this.#table.set(at, invertPage(page, this.#bitsIn(at)));
    }
  }

  /** Whether other bits, of the same number, are the same. */
  equals(other: PagedBits): boolean {
    for (let at = 0; at < this.#table.count; at++)
      if (this.#page(at) !== other.#page(at) && !equalPages(this.#page(at), other.#page(at), this.#bitsIn(at)))
        return false;
    return true;
  }

  /** Whether a bit is dirty here and clean in other bits, of the same number. */
  hasDirtOutside(other: PagedBits): boolean {
    for (let at = 0; at < this.#table.count; at++) {
      const page = this.#page(at);
      const theirs = other.#page(at);
      if (page === "zeros" || page === theirs || theirs === "ones") continue;
      if (kernel.hasBitsOutside(this.#words(at), other.#words(at))) return true;
    }
    return false;
  }

  /** Yields the pages that a range overlaps, each with its range of bits, for reading only, valid until the bits change. */
  *pages({ first, end }: BitRange): Generator<readonly [range: BitRange, page: Page], void> {
    for (let at = Math.floor(first / PAGE_BITS); at * PAGE_BITS < end; at++) yield [this.#rangeOf(at), this.#page(at)];
  }
}
