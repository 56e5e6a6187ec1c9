import { wordAt } from "../elements.ts";
import { memory } from "../kernels/kernels.ts";
import { references, SLOT_WORDS } from "../kernels/slots.ts";
import { type Combination, combineWords } from "./combination.ts";
import { clearFrom, type Page, type PageKind, wordsOfPage } from "./page.ts";
import { PageCounts } from "./page-counts.ts";
import { kindOfRange, wordsOfRange } from "./page-ranges.ts";
import { PAGE_BITS, PageStore } from "./page-store.ts";
import { combineAt, equalStores, hasBitsOutside, invertAt } from "./page-stores.ts";
import { regranulatedPages } from "./regranulated-pages.ts";
import { type RunCollector, STEP_WORDS } from "./runs.ts";
import type { BitRange } from "./shape.ts";
import * as kernel from "./words.ts";

const PAGE_BYTES = PAGE_BITS / 8;
const PAGE_SHIFT = 19;

/**
 * Bits in memory, in pages. A page of zeros or ones takes no memory. Copies share their words until one of them changes them. Pages that
 * are returned are views, valid until bits of any bitmap change or are made.
 */
export class PagedBits {
  /** Number of bits. */
  readonly bitCount: number;
  readonly #store: PageStore;
  #counts = new PageCounts();

  private constructor(bitCount: number, store: PageStore) {
    this.bitCount = bitCount;
    this.#store = store;
  }

  /** Returns bits that are all clean ("zeros") or all dirty ("ones"). */
  static uniform(bitCount: number, page: "zeros" | "ones"): PagedBits {
    return new PagedBits(bitCount, new PageStore(bitCount, page));
  }

  /** Returns bits of which `pageOf` makes each page. Words are copied. */
  static from(bitCount: number, pageOf: (range: BitRange) => Page): PagedBits {
    const bits = PagedBits.uniform(bitCount, "zeros");
    for (let at = 0; at < bits.#store.count; at++) {
      const page = pageOf(bits.#rangeOf(at));
      if (typeof page === "string") bits.#store.set(at, page);
      else bits.#store.copyIn(at, page);
      bits.#store.settle(at);
    }
    return bits;
  }

  /** Returns a copy. */
  copy(): PagedBits {
    const bits = new PagedBits(this.bitCount, this.#store.copy(this.bitCount, this.#store.count));
    bits.#counts = this.#counts.copy();
    return bits;
  }

  /** Gives the memory back. */
  free(): void {
    this.#store.free();
  }

  /** Returns a copy with another number of bits. Bits that are added are clean. */
  resized(bitCount: number): PagedBits {
    const smaller = Math.min(bitCount, this.bitCount);
    const whole = Math.floor(smaller / PAGE_BITS);
    const bits = new PagedBits(bitCount, this.#store.copy(bitCount, whole));
    const rest = { first: whole * PAGE_BITS, end: smaller };
    const page = rest.first < smaller ? this.pageAt(rest) : "zeros";
    if (page === "ones") bits.fill(rest, page);
    else if (page !== "zeros") bits.mergeWords(rest.first, page.slice());
    return bits;
  }

  #rangeOf(page: number): BitRange {
    return { first: page * PAGE_BITS, end: Math.min((page + 1) * PAGE_BITS, this.bitCount) };
  }

  /** Returns whether a range of bits is all clean ("zeros"), all dirty ("ones"), or neither. */
  kindOf(range: BitRange): PageKind {
    const kind = kindOfRange(range, PAGE_BITS, (page) => this.#store.kind(page));
    if (kind !== "words") return kind;
    if (this.next(range.first, true, range.end) < 0) return "zeros";
    return this.next(range.first, false, range.end) < 0 ? "ones" : "words";
  }

  /** Returns a range of bits, the first of them as bit 0, for reading only. */
  pageAt(range: BitRange): Page {
    const kind = this.kindOf(range);
    return kind === "words" ? wordsOfRange(range, PAGE_BITS, this.bitCount, (page) => this.#store.page(page)) : kind;
  }

  /** Returns a copy of the bytes [start, start + length) of the bits, the least significant bit first. Past the last bit they are zero. */
  bytes(start: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    const end = Math.min(start + length, this.#store.count * PAGE_BYTES);
    for (let at = start; at < end; ) {
      const page = Math.floor(at / PAGE_BYTES);
      const stop = Math.min(end, (page + 1) * PAGE_BYTES);
      result.set(this.#view(page, at - page * PAGE_BYTES, stop - at), at - start);
      at = stop;
    }
    return result;
  }

  #view(page: number, start: number, length: number): Uint8Array {
    const value = this.#store.page(page);
    return value === "zeros"
      ? new Uint8Array(length)
      : kernel.viewAsBytes(wordsOfPage(value, this.#store.bitsIn(page)), start, length);
  }

  /** Returns the same bytes as {@link bytes}, for reading only: a view if they are in one page of words, and the byte order of the machine allows one. */
  view(start: number, length: number): Uint8Array {
    const page = Math.floor(start / PAGE_BYTES);
    if (page >= this.#store.count || start + length > (page + 1) * PAGE_BYTES) return this.bytes(start, length);
    return this.#view(page, start - page * PAGE_BYTES, length);
  }

  /** Whether a bit is dirty. */
  isDirty(bit: number): boolean {
    // Not `itemAt`, which is called with lists of many kinds: V8 makes no fast code of it.
    const slot = this.#store.slots[bit >>> PAGE_SHIFT];
    const index = (bit >>> 5) & (SLOT_WORDS - 1);
    if (slot !== undefined && slot !== 0) return ((wordAt(memory.words, slot * SLOT_WORDS + index) >>> bit) & 1) === 1;
    const page = this.#store.page(bit >>> PAGE_SHIFT);
    if (typeof page === "string") return page === "ones";
    return ((wordAt(page, index) >>> bit) & 1) === 1;
  }

  /** Makes one bit dirty. */
  mark(bit: number): void {
    const at = bit >>> PAGE_SHIFT;
    const slot = this.#store.slots[at];
    if (slot === undefined || slot === 0 || references[slot] !== 1) {
      this.fill({ first: bit, end: bit + 1 }, "ones");
      return;
    }
    const { words } = memory;
    const index = slot * SLOT_WORDS + ((bit >>> 5) & (SLOT_WORDS - 1));
    const word = wordAt(words, index);
    if (((word >>> bit) & 1) === 1) return;
    words[index] = word | (1 << bit);
    this.#counts.add(at, 1);
  }

  /** Makes bits clean ("zeros") or dirty ("ones"). */
  fill({ first, end }: BitRange, kind: "zeros" | "ones"): void {
    if (end - first === 1 && this.isDirty(first) === (kind === "ones")) return;
    for (let bit = first; bit < end; ) {
      const at = Math.floor(bit / PAGE_BITS);
      const start = at * PAGE_BITS;
      const bits = this.#store.bitsIn(at);
      const stop = Math.min(end, start + bits);
      if (bit === start && stop - start === bits) {
        this.#store.set(at, kind);
        this.#counts.forget(at);
      } else if (this.#store.kind(at) !== kind) {
        kernel.fillBits(this.#store.ownWords(at), bit - start, stop - start, kind === "ones");
        if (end - first === 1) this.#counts.add(at, kind === "ones" ? 1 : -1);
        else this.#counts.forget(at);
      }
      bit = stop;
    }
  }

  /** Merges words (OR) from bit `base` on, a multiple of 32. Bits past the last one are ignored. The words are in no page. */
  mergeWords(base: number, words: Uint32Array): void {
    const count = Math.min(words.length * 32, this.bitCount - base);
    for (let done = 0; done < count; ) {
      const at = Math.floor((base + done) / PAGE_BITS);
      const start = base + done - at * PAGE_BITS;
      const bits = this.#store.bitsIn(at);
      const length = Math.min(bits - start, count - done);
      const part = words.subarray(done / 32, done / 32 + kernel.wordsFor(length));
      done += length;
      const kind = this.#store.kind(at);
      if (kind === "ones" || kernel.nextBit(part, 0, length, true) < 0) continue;
      this.#counts.forget(at);
      if (kind === "zeros" && length === bits) {
        this.#store.copyIn(at, part);
        continue;
      }
      const own = this.#store.ownWords(at);
      const target = own.subarray(start / 32, start / 32 + part.length);
      if (kind === "zeros") target.set(part);
      else combineWords("merge", target, part);
      clearFrom(own, bits);
    }
  }

  /** Returns the number of dirty bits. Pages that have not changed since the last count are not counted again. */
  count(): number {
    return this.#counts.total(this.#store.count, (at) => {
      const page = this.#store.page(at);
      return page === "zeros" ? 0 : page === "ones" ? this.#store.bitsIn(at) : kernel.countBits(page);
    });
  }

  /** Returns the first bit in [from, end) that is dirty, or clean if `value` is false; -1 if there is none. */
  next(from: number, value: boolean, end = this.bitCount): number {
    const other = value ? "zeros" : "ones";
    for (let bit = Math.max(0, from); bit < end; ) {
      const at = Math.floor(bit / PAGE_BITS);
      const start = at * PAGE_BITS;
      const page = this.#store.page(at);
      if (typeof page === "object") {
        const found = kernel.nextBit(page, bit - start, Math.min(end - start, this.#store.bitsIn(at)), value);
        if (found >= 0) return start + found;
      } else if (page !== other) return bit;
      bit = start + PAGE_BITS;
    }
    return -1;
  }

  /** Combines the bits with those of a source of as many bits: other bits, or a function that makes the page of a range. */
  combine(how: Combination, source: PagedBits | ((range: BitRange) => Page)): void {
    const pages = typeof source === "function" ? (at: number): Page => source(this.#rangeOf(at)) : source.#store;
    for (let at = 0; at < this.#store.count; at++) if (combineAt(how, this.#store, at, pages)) this.#counts.forget(at);
  }

  /** Makes every dirty bit clean and every clean bit dirty. */
  invert(): void {
    for (let at = 0; at < this.#store.count; at++) {
      invertAt(this.#store, at);
      this.#counts.forget(at);
    }
  }

  /** Whether other bits, of the same number, are the same. */
  equals(other: PagedBits): boolean {
    return equalStores(this.#store, other.#store);
  }

  /** Whether a bit is dirty here and clean in other bits, of the same number. */
  hasDirtOutside(other: PagedBits): boolean {
    return hasBitsOutside(this.#store, other.#store);
  }

  /**
   * Shows the bits of a range to a collector: those of one page at most, and no more words than it takes at once. Returns the number of the
   * bit after them.
   */
  collectRuns(collector: RunCollector, { first, end }: BitRange): number {
    const at = Math.floor(first / PAGE_BITS);
    const start = at * PAGE_BITS;
    const page = this.#store.page(at);
    if (typeof page === "string") {
      const stop = Math.min(end, start + PAGE_BITS);
      if (page === "zeros") collector.pushClean(first);
      else collector.pushDirty({ first, end: stop });
      return stop;
    }
    const from = Math.floor((first - start) / 32);
    const stop = Math.min(end, start + Math.min((from + STEP_WORDS) * 32, this.#store.bitsIn(at)));
    const base = start + from * 32;
    const words = page.subarray(from, Math.ceil((stop - start) / 32));
    const isWhole = first === base && (stop - start) % 32 === 0;
    collector.pushWords(isWhole ? words : onlyBits(words, first - base, stop - base), base);
    return stop;
  }

  /** Returns the bits at a granularity 2^steps times as coarse, or as fine if `steps` is negative. `bitCount` is the number of bits then. */
  regranulated(bitCount: number, steps: number): PagedBits {
    return new PagedBits(bitCount, regranulatedPages(this.#store, bitCount, steps));
  }
}

/** Returns a copy of words in which the bits outside [first, end) are zero. */
function onlyBits(words: Uint32Array, first: number, end: number): Uint32Array {
  const copy = words.slice();
  kernel.fillBits(copy, 0, first, false);
  clearFrom(copy, end);
  return copy;
}
