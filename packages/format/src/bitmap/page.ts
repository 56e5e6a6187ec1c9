// A page is a run of bits that is all zeros, all ones, or held in words. Bits past the end of a page, in its last word, are zero. These
// functions never change the pages that they are given.
import { type Combination, combineWords } from "./combination.ts";
import { coarsen, refine } from "./granularity.ts";
import * as kernel from "./words.ts";

/** The bits of a page: bit n is `1 << (n % 32)` of word n / 32, rounded down. */
export type Page = "zeros" | "ones" | Uint32Array;

/** What is known of a page without its words. */
export type PageKind = "zeros" | "ones" | "words";

/** What a combination of two pages comes to. "both" needs the words of both; the other results need no kernel. */
export type Outcome = "target" | "source" | "zeros" | "ones" | "inverted target" | "inverted source" | "both";

/** Returns what a combination comes to, if only the kinds of the pages are known. The words of a page that is not part of the result need not be read. */
export function outcomeOf(how: Combination, target: PageKind, source: PageKind): Outcome {
  switch (how) {
    case "merge":
      if (source === "zeros" || target === "ones") return "target";
      if (source === "ones") return "ones";
      return target === "zeros" ? "source" : "both";
    case "intersect":
      if (source === "ones" || target === "zeros") return "target";
      if (source === "zeros") return "zeros";
      return target === "ones" ? "source" : "both";
    case "subtract":
      if (source === "zeros" || target === "zeros") return "target";
      if (source === "ones") return "zeros";
      return target === "ones" ? "inverted source" : "both";
    case "xor":
      if (source === "zeros") return "target";
      if (source === "ones") return "inverted target";
      if (target === "zeros") return "source";
      return target === "ones" ? "inverted source" : "both";
  }
}

/** Returns the kind of a page. */
export function kindOfPage(page: Page): PageKind {
  return typeof page === "string" ? page : "words";
}

/**
 * Combines two pages of `bitCount` bits. If the result has words of its own, they are the first ones of `into`, if that is given, or else new
 * ones.
 */
export function combinePages(how: Combination, target: Page, source: Page, bitCount: number, into?: Uint32Array): Page {
  const outcome = outcomeOf(how, kindOfPage(target), kindOfPage(source));
  if (outcome === "target") return target;
  if (outcome === "source") return source;
  if (outcome === "inverted target") return invertPage(target, bitCount);
  if (outcome === "inverted source") return invertPage(source, bitCount);
  if (outcome !== "both") return outcome;
  const before = wordsOfPage(target, bitCount);
  const words = into === undefined ? before.slice() : into.subarray(0, before.length);
  if (into !== undefined) words.set(before);
  combineWords(how, words, wordsOfPage(source, bitCount));
  return words;
}

/** Returns a page of `bitCount` bits with every bit inverted. */
export function invertPage(page: Page, bitCount: number): Page {
  if (page === "zeros") return "ones";
  if (page === "ones") return "zeros";
  const words = page.slice();
  kernel.notWords(words);
  clearFrom(words, bitCount);
  return words;
}

/** Returns the words of a page of `bitCount` bits. They are those of the page if it has words, else new ones. */
export function wordsOfPage(page: Page, bitCount: number): Uint32Array {
  if (typeof page !== "string") return page;
  const words = new Uint32Array(kernel.wordsFor(bitCount));
  if (page === "ones") kernel.fillBits(words, 0, bitCount, true);
  return words;
}

/** Whether two pages of `bitCount` bits have the same bits. */
export function equalPages(a: Page, b: Page, bitCount: number): boolean {
  if (typeof a === "string" && typeof b === "string") return a === b;
  return kernel.equalWords(wordsOfPage(a, bitCount), wordsOfPage(b, bitCount));
}

/** Returns "zeros" or "ones" for words of which all `bitCount` bits are equal; else the words. */
export function pageOfWords(words: Uint32Array, bitCount: number): Page {
  if (kernel.nextBit(words, 0, bitCount, true) < 0) return "zeros";
  return kernel.nextBit(words, 0, bitCount, false) < 0 ? "ones" : words;
}

/** Makes bits of a page, [first, end), clean or dirty in place. */
export function fillPage(words: Uint32Array, first: number, end: number, kind: "zeros" | "ones"): void {
  kernel.fillBits(words, first, end, kind === "ones");
}

/** Returns the words of a page that keeps the first `kept` of its bits, and has `bitCount`. Others are zero. */
export function resizedPage(page: Page, bitsBefore: number, kept: number, bitCount: number): Uint32Array {
  const words = new Uint32Array(kernel.wordsFor(bitCount));
  words.set(wordsOfPage(page, bitsBefore).subarray(0, words.length));
  clearFrom(words, kept);
  return words;
}

/** Clears the bits from `bit` on. */
export function clearFrom(words: Uint32Array, bit: number): void {
  kernel.fillBits(words, bit, words.length * 32, false);
}

/**
 * Returns a page at a granularity that is 2^steps times as coarse, in `bitCount` bits. A coarse bit is set if any of its fine bits is, or
 * with `inward` only if all of them are. A fine bit past the end of the page counts as set then: there is no disk that it stands for.
 */
export function coarsenPage(page: Page, fineBits: number, steps: number, bitCount: number, inward: boolean): Page {
  if (typeof page === "string") return page;
  if (!inward) return coarsen(page, steps, kernel.wordsFor(bitCount));
  const clean = wordsOfPage(invertPage(page, fineBits), fineBits);
  return invertPage(coarsen(clean, steps, kernel.wordsFor(bitCount)), bitCount);
}

/** Returns a page at a granularity that is 2^steps times as fine, in `bitCount` bits: all fine bits of a set bit are set. */
export function refinePage(page: Page, steps: number, bitCount: number): Page {
  if (typeof page === "string") return page;
  const words = refine(page, steps, kernel.wordsFor(bitCount));
  clearFrom(words, bitCount);
  return words;
}
