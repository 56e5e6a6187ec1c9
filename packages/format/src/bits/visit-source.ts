import type { Page } from "../bitmap/page.ts";
import type { BitRange } from "../bitmap/shape.ts";
import type { Plan } from "../ports/plan.ts";
import type { BitSource } from "./bit-source.ts";
import type { BitVisitor } from "./cluster-windows.ts";
import { Scratch } from "./scratch.ts";
import type { Spool } from "./spool.ts";
import { SpooledBits } from "./spooled-bits.ts";

/** Number of bits that are read at a time: 1 MiB. */
const WINDOW_BITS = 2 ** 23;

/** Returns the page of a range. Bits that are known without reading are not read. @throws {QdbError} as reading the source */
export function* pageOf(source: BitSource, range: BitRange, scratch: Scratch): Plan<Page> {
  const kind = source.kind(range);
  return kind === "words" ? yield* source.page(range, scratch) : kind;
}

/** Shows a page, which has the bits of a range, to a visitor. */
export function showPage(page: Page, range: BitRange, visitor: BitVisitor): void {
  if (page === "zeros") visitor.pushClean(range.first);
  else if (page === "ones") visitor.pushDirty(range);
  else visitor.pushWords(page, range.first);
}

/** Shows all bits of a source to a visitor, which keeps no words. @throws {QdbError} as reading the source */
export function* visitSource(source: BitSource, visitor: BitVisitor): Plan<void> {
  const scratch = new Scratch();
  for (let first = 0; first < source.bitCount; first += WINDOW_BITS) {
    const range = { first, end: Math.min(first + WINDOW_BITS, source.bitCount) };
    showPage(yield* pageOf(source, range, scratch), range, visitor);
  }
}

/** Reads all bits of a source into a spool. @throws {QdbError} as reading the source; IO if the temporary file of the spool fails */
export function* spoolSource(source: BitSource, spool: Spool): Plan<SpooledBits> {
  const bits = new SpooledBits(spool, source);
  yield* visitSource(source, {
    pushWords: (words, base) => bits.mergeWordsAt(base, words),
    pushDirty: (range) => bits.markBits(range),
    pushClean: () => undefined,
  });
  return bits;
}
