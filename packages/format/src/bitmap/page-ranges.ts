// Ranges of bits that are put together from pages.
import { type Page, type PageKind, wordsOfPage } from "./page.ts";
import type { BitRange } from "./shape.ts";
import * as kernel from "./words.ts";

/** Returns what is known of a range of bits without its words. `kindOf` returns what is known of a page. */
export function kindOfRange({ first, end }: BitRange, pageBits: number, kindOf: (page: number) => PageKind): PageKind {
  let kind: PageKind | undefined;
  for (let page = Math.floor(first / pageBits); page * pageBits < end; page++) {
    const next = kindOf(page);
    if (next === "words" || (kind !== undefined && kind !== next)) return "words";
    kind = next;
  }
  return kind ?? "zeros";
}

/**
 * Returns the words of a range, for reading only. The range lies in one page, or begins at a border of pages. `pageAt` returns a page;
 * `bitCount` is the number of bits of all pages, since the last one can be shorter.
 */
export function wordsOfRange(
  { first, end }: BitRange,
  pageBits: number,
  bitCount: number,
  pageAt: (page: number) => Page,
): Uint32Array {
  const start = Math.floor(first / pageBits);
  const wordsAt = (page: number): Uint32Array =>
    wordsOfPage(pageAt(page), Math.min(pageBits, bitCount - page * pageBits));
  if (end <= (start + 1) * pageBits)
    return kernel.sliceBits(wordsAt(start), first - start * pageBits, end - start * pageBits);
  if (first !== start * pageBits) throw new Error("a range of several pages does not begin at a border of pages");
  const words = new Uint32Array(kernel.wordsFor(end - first));
  for (let page = start; page * pageBits < end; page++) {
    const at = page * pageBits;
    const part = kernel.sliceBits(wordsAt(page), 0, Math.min(end - at, pageBits));
    words.set(part, (at - first) / 32);
  }
  return words;
}
