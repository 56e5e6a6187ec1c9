// Bits in pages beside other bits in pages, of which there are as many.
import { type Combination, combineWords } from "./combination.ts";
import { clearFrom, equalPages, kindOfPage, outcomeOf, type Page, wordsOfPage } from "./page.ts";
import type { PageStore } from "./page-store.ts";
import * as kernel from "./words.ts";

/**
 * Combines a page with that of a source: another store, or a function that makes the page. Returns whether the page may have changed. A made
 * page is in no slot.
 */
export function combineAt(
  how: Combination,
  target: PageStore,
  at: number,
  source: PageStore | ((at: number) => Page),
): boolean {
  const made = typeof source === "function" ? source(at) : undefined;
  const other = typeof source === "function" ? undefined : source;
  const outcome = outcomeOf(how, target.kind(at), made === undefined ? kindIn(other, at) : kindOfPage(made));
  if (outcome === "target") return false;
  if (outcome === "zeros" || outcome === "ones") {
    target.set(at, outcome);
    return true;
  }
  if (outcome === "both") {
    // Making and moving pages can detach views, so that it is done before any view is taken.
    other?.moveToSlot(at);
    target.moveToSlot(at);
    const words = target.ownWords(at);
    combineWords(how, words, wordsOf(made ?? other?.page(at)));
    target.settle(at);
    return true;
  }
  if (outcome !== "inverted target") {
    if (other === undefined) target.copyIn(at, wordsOf(made));
    else target.share(at, other);
  }
  if (outcome !== "source") invertAt(target, at);
  return true;
}

function kindIn(store: PageStore | undefined, at: number): "zeros" | "ones" | "words" {
  if (store === undefined) throw new Error("a combination has no source");
  return store.kind(at);
}

function wordsOf(page: Page | undefined): Uint32Array {
  if (typeof page !== "object") throw new Error("a combination that needs the words of a page has none");
  return page;
}

/** Makes every dirty bit of a page clean and every clean bit dirty. */
export function invertAt(store: PageStore, at: number): void {
  const kind = store.kind(at);
  if (kind !== "words") {
    store.set(at, kind === "zeros" ? "ones" : "zeros");
    return;
  }
  const words = store.ownWords(at);
  kernel.notWords(words);
  clearFrom(words, store.bitsIn(at));
}

/** Whether all bits are the same. */
export function equalStores(store: PageStore, other: PageStore): boolean {
  for (let at = 0; at < store.count; at++)
    if (!store.isSame(at, other) && !equalPages(store.page(at), other.page(at), store.bitsIn(at))) return false;
  return true;
}

/** Whether a bit is dirty in a store and clean in the other one. */
export function hasBitsOutside(store: PageStore, other: PageStore): boolean {
  for (let at = 0; at < store.count; at++) {
    const page = store.page(at);
    const theirs = other.page(at);
    if (page === "zeros" || theirs === "ones" || store.isSame(at, other)) continue;
    const bits = store.bitsIn(at);
    if (kernel.hasBitsOutside(wordsOfPage(page, bits), wordsOfPage(theirs, bits))) return true;
  }
  return false;
}
