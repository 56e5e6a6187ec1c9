// Bits that are made in any order, without holding all of them in memory.
import { bytesOfWords, countWords, hasBit, sliceWords } from "../bitmap/bit-bytes.ts";
import { combineLong } from "../bitmap/combination.ts";
import { clearFrom, fillPage, type Page, type PageKind, wordsOfPage } from "../bitmap/page.ts";
import { kindOfRange } from "../bitmap/page-ranges.ts";
import {
  type BitRange,
  bitsOfShape,
  bitsOutward,
  type DiskRange,
  dirtyBytes,
  type ShapeInput,
} from "../bitmap/shape.ts";
import { byteAt, itemAt } from "../elements.ts";
import { exactInteger } from "../integers.ts";
import type { Plan } from "../ports/plan.ts";
import type { BitSource } from "./bit-source.ts";
import type { Scratch } from "./scratch.ts";
import { SPOOL_PAGE_WORDS, type Spool } from "./spool.ts";

const PAGE_BITS = SPOOL_PAGE_WORDS * 32;

/** What a page is, by the number that stands for it. */
const KINDS = ["zeros", "ones", "words"] as const;
const ZEROS = 0;
const ONES = 1;
const WORDS = 2;

/**
 * The bits of a bitmap, which are all clean at first, and whose pages are in a spool. A page of zeros or ones takes nothing there. They are
 * read without steps of a plan, from the temporary file of the spool.
 *
 * Every method that reads or changes bits throws IO if the temporary file cannot be written or read.
 */
export class SpooledBits implements BitSource {
  readonly size: bigint;
  readonly granularity: number;
  /** Number of bits. */
  readonly bitCount: number;
  readonly #spool: Spool;
  readonly #firstPage: number;
  readonly #kinds: Uint8Array;

  /** @throws {QdbError} USAGE, LIMIT if the format does not allow the shape */
  constructor(spool: Spool, shape: ShapeInput) {
    this.size = exactInteger(shape.size, "size");
    this.granularity = shape.granularity;
    this.bitCount = bitsOfShape(shape);
    this.#kinds = new Uint8Array(Math.ceil(this.bitCount / PAGE_BITS));
    this.#spool = spool;
    this.#firstPage = spool.reserve(this.#kinds.length);
  }

  /** Marks every bit dirty whose granule overlaps a range. @throws {QdbError} USAGE if the range is not inside the disk */
  mark(range: DiskRange): void {
    this.markBits(bitsOutward(range, this));
  }

  /** Marks bits dirty. @throws {RangeError} if the bitmap does not have all of them */
  markBits({ first, end }: BitRange): void {
    for (let at = first, next = first; at < end; at = next) {
      const page = Math.floor(at / PAGE_BITS);
      const start = page * PAGE_BITS;
      next = Math.min(end, start + PAGE_BITS);
      const kind = byteAt(this.#kinds, page);
      if (kind === ONES) continue;
      if (next - at === this.#bitsIn(page)) {
        if (kind === WORDS) this.#spool.forget(this.#firstPage + page);
        this.#kinds[page] = ONES;
      } else fillPage(this.#change(page), at - start, next - start, "ones");
    }
  }

  /** Merges words of bits (OR), from bit `base` on, which is a multiple of 32. Bits past the last one are ignored. */
  mergeWordsAt(base: number, words: Uint32Array): void {
    const end = Math.min(base + words.length * 32, this.bitCount);
    for (let at = base, next = base; at < end; at = next) {
      const page = Math.floor(at / PAGE_BITS);
      const start = page * PAGE_BITS;
      next = Math.min(end, start + PAGE_BITS);
      const part = sliceWords(words, at - base, next - base);
      if (byteAt(this.#kinds, page) === ONES || countWords(part) === 0) continue;
      const from = (at - start) / 32;
      combineLong("merge", this.#change(page).subarray(from, from + part.length), part);
    }
  }

  /** Returns the words of a page that has words from now on, for changing them. */
  #change(page: number): Uint32Array {
    const words = this.#spool.change(this.#firstPage + page);
    this.#kinds[page] = WORDS;
    return words;
  }

  #bitsIn(page: number): number {
    return Math.min(PAGE_BITS, this.bitCount - page * PAGE_BITS);
  }

  #kindOf(page: number): PageKind {
    return itemAt(KINDS, byteAt(this.#kinds, page));
  }

  /** Returns a page, for reading only, valid until the next use of the spool. */
  #pageAt(page: number): Page {
    const kind = this.#kindOf(page);
    return kind === "words" ? this.#spool.page(this.#firstPage + page) : kind;
  }

  kind(range: BitRange): PageKind {
    return kindOfRange(range, PAGE_BITS, (page) => this.#kindOf(page));
  }

  // biome-ignore lint/correctness/useYield: the spool is read without steps.
  *page(range: BitRange, scratch: Scratch): Plan<Page> {
    const kind = this.kind(range);
    if (kind !== "words") return kind;
    const first = Math.floor(range.first / 32) * 32;
    const bytes = scratch.bytes(Math.ceil((range.end - first) / 32) * 4);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (let at = first, next = first; at < range.end; at = next) {
      const page = Math.floor(at / PAGE_BITS);
      const start = page * PAGE_BITS;
      next = Math.min(range.end, start + PAGE_BITS);
      const found = wordsOfPage(this.#pageAt(page), this.#bitsIn(page));
      words.set(found.subarray((at - start) / 32, Math.ceil((next - start) / 32)), (at - first) / 32);
    }
    clearFrom(words, range.end - first);
    return sliceWords(words, range.first - first, range.end - first);
  }

  /**
   * Returns the bytes [start, start + length) of the bits, least significant bit first, for reading only, valid until the next use of the
   * spool. They lie in one piece of 64 KiB that begins at a multiple of 64 KiB. Past the last bit they are zero.
   */
  viewAt(start: number, length: number): Uint8Array {
    const page = Math.floor((start * 8) / PAGE_BITS);
    const words = wordsOfPage(this.#pageAt(page), this.#bitsIn(page));
    const from = start - (page * PAGE_BITS) / 8;
    if (from + length > PAGE_BITS / 8) throw new RangeError(`bytes ${start}+${length} lie in more than one page`);
    return bytesOfWords(words, from + length).subarray(from);
  }

  /** Returns the number of dirty bytes of the disk. */
  dirtyBytes(): bigint {
    let count = 0;
    for (const [page, kind] of this.#kinds.entries())
      if (kind !== ZEROS)
        count += kind === ONES ? this.#bitsIn(page) : countWords(this.#spool.page(this.#firstPage + page));
    const page = this.#kinds.length - 1;
    const last = this.bitCount - 1 - page * PAGE_BITS;
    const isLastDirty = page >= 0 && hasBit(wordsOfPage(this.#pageAt(page), this.#bitsIn(page)), last);
    return dirtyBytes(count, this, { last: isLastDirty });
  }
}
