// Changes of granularity, from pages to pages.
import { coarsenInto, refineInto } from "./granularity.ts";
import { clearFrom, pageOfWords } from "./page.ts";
import { PAGE_BITS, PageStore } from "./page-store.ts";
import * as kernel from "./words.ts";

/** With more steps, the bits of a page come to less than a word. */
export const MAX_PAGE_STEPS = 14;

/**
 * Returns pages at a granularity 2^steps times as coarse, or as fine if `steps` is negative. `bitCount` is the number of bits then. There
 * are {@link MAX_PAGE_STEPS} steps at most.
 */
export function regranulatedPages(source: PageStore, bitCount: number, steps: number): PageStore {
  const result = new PageStore(bitCount, "zeros");
  for (let at = 0; at < result.count; at++) {
    if (steps > 0) coarsenPages(source, result, at, steps);
    else refinePart(source, result, at, -steps);
  }
  return result;
}

function coarsenPages(source: PageStore, result: PageStore, at: number, steps: number): void {
  const factor = 2 ** steps;
  const first = at * factor;
  const end = Math.min(first + factor, source.count);
  const kind = source.kind(first);
  let page = first + 1;
  while (page < end && source.kind(page) === kind) page++;
  if (kind !== "words" && page === end) {
    result.set(at, kind);
    return;
  }
  const words = result.renew(at, true);
  for (page = first; page < end; page++) {
    const fine = source.page(page);
    const start = ((page - first) * PAGE_BITS) / factor;
    const stop = start + Math.ceil(source.bitsIn(page) / factor);
    if (fine === "ones") kernel.fillBits(words, start, stop, true);
    else if (fine !== "zeros") coarsenInto(fine, steps, words.subarray(start / 32, kernel.wordsFor(stop)));
  }
  result.settle(at);
}

function refinePart(source: PageStore, result: PageStore, at: number, steps: number): void {
  const factor = 2 ** steps;
  const page = Math.floor(at / factor);
  const start = ((at % factor) * PAGE_BITS) / factor;
  const bits = Math.min(PAGE_BITS / factor, source.bitsIn(page) - start);
  const part = (): "zeros" | "ones" | Uint32Array => {
    const coarse = source.page(page);
    return typeof coarse === "string" ? coarse : coarse.subarray(start / 32, kernel.wordsFor(start + bits));
  };
  const found = part();
  const kind = typeof found === "string" ? found : pageOfWords(found, bits);
  if (typeof kind === "string") {
    result.set(at, kind);
    return;
  }
  const isWhole = bits * factor === PAGE_BITS && result.bitsIn(at) === PAGE_BITS;
  const words = result.renew(at, !isWhole);
  // Making words can detach views, so that this one is taken again.
  const coarse = part();
  if (typeof coarse === "string") throw new Error("a page that was in words is uniform");
  refineInto(coarse, steps, words);
  clearFrom(words, result.bitsIn(at));
}
