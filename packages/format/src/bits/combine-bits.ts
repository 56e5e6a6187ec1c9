// Changes that go through all clusters of a bitmap. They read what the result depends on, in rounds, and nothing else.
import type { Bitmap } from "../bitmap/bitmap.ts";
import { type Combination, isRoundedInward, requireCombinable } from "../bitmap/combination.ts";
import { combinePages, equalPages, invertPage, outcomeOf, type Page, type PageKind } from "../bitmap/page.ts";
import { itemAt } from "../elements.ts";

import type { Plan } from "../ports/plan.ts";
import { atGranularity, type BitSource } from "./bit-source.ts";
import { type Apply, ClusterBits, type ClusterBitsOptions } from "./cluster-bits.ts";
import { type ClusterNeed, roundsOf } from "./cluster-rounds.ts";

/**
 * Prepares to combine bits with those of a source. If the granularities differ, the source is rounded outward, or inward for "subtract", so
 * that no dirty byte becomes clean for want of precision; "xor" allows no rounding.
 * @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ; USAGE for "xor" of two granularities; BAD_CHECKSUM; LIMIT
 */
export function* prepareCombination(bits: ClusterBits, how: Combination, given: BitSource): Plan<Apply> {
  requireCombinable(how, bits, given);
  const source = atGranularity(given, bits.granularity, isRoundedInward(how));
  const results = new Map<number, Page>();
  const needs = (cluster: number): ClusterNeed | undefined => {
    const outcome = outcomeOf(how, bits.kindOf(cluster), source.kind(bits.rangeOf(cluster)));
    if (outcome === "zeros" || outcome === "ones") results.set(cluster, outcome);
    const target = outcome === "both" || outcome === "inverted target";
    const usesSource = outcome === "both" || outcome === "source" || outcome === "inverted source";
    return target || usesSource ? { cluster, target, source: usesSource } : undefined;
  };
  for (const round of roundsOf(bits, needs)) {
    const ofSource = round.filter((step) => step.source);
    const sourcePages = yield* source.pages(ofSource.map(({ cluster }) => bits.rangeOf(cluster)));
    const ofTarget = round.filter((step) => step.target);
    const targetPages = yield* bits.load(ofTarget.map(({ cluster }) => cluster));
    let nextSource = 0;
    let nextTarget = 0;
    for (const { cluster, target: usesTarget, source: usesSource } of round) {
      const range = bits.rangeOf(cluster);
      const bitCount = range.end - range.first;
      const target = usesTarget ? itemAt(targetPages, nextTarget++) : uniformOf(bits.kindOf(cluster));
      const other = usesSource ? itemAt(sourcePages, nextSource++) : uniformOf(source.kind(range));
      const page = combinePages(how, target, other, bitCount);
      if (equalPages(page, target, bitCount)) continue;
      // The words of a source may be a view of bytes that others hold.
      results.set(cluster, page === other && typeof page !== "string" ? page.slice() : page);
    }
    bits.requireMemory(results.size);
  }
  return () => {
    bits.set(results);
    return bits;
  };
}

/** Returns the page of a cluster of which no words are needed. */
function uniformOf(kind: PageKind): Page {
  if (kind === "words") throw new Error("the words of a cluster are needed and were not read");
  return kind;
}

/** Prepares to invert every bit. Reads all stored clusters. @throws {QdbError} BAD_CHECKSUM; LIMIT */
export function* prepareInversion(bits: ClusterBits): Plan<Apply> {
  const results = new Map<number, Page>();
  const needs = (cluster: number): ClusterNeed | undefined => {
    const kind = bits.kindOf(cluster);
    if (kind === "words") return { cluster, target: true, source: false };
    results.set(cluster, kind === "zeros" ? "ones" : "zeros");
    return undefined;
  };
  for (const round of roundsOf(bits, needs)) {
    const pages = yield* bits.load(round.map(({ cluster }) => cluster));
    for (const [at, { cluster }] of round.entries()) {
      const { first, end } = bits.rangeOf(cluster);
      results.set(cluster, invertPage(itemAt(pages, at), end - first));
    }
    bits.requireMemory(results.size);
  }
  return () => {
    bits.set(results);
    return bits;
  };
}

/**
 * Prepares to change the granularity. Every byte that is dirty stays dirty. Reads all stored clusters.
 * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape; BAD_CHECKSUM; LIMIT
 */
export function* prepareGranularity(bits: ClusterBits, granularity: number, options: ClusterBitsOptions): Plan<Apply> {
  if (granularity === bits.granularity) return () => bits;
  const source = atGranularity(bits, granularity, false);
  const result = ClusterBits.uniform({ size: bits.size, granularity }, "zeros", options);
  const pages = new Map<number, Page>();
  const needs = (cluster: number): ClusterNeed | undefined => {
    const kind = source.kind(result.rangeOf(cluster));
    if (kind === "words") return { cluster, target: false, source: true };
    if (kind === "ones") pages.set(cluster, kind);
    return undefined;
  };
  for (const round of roundsOf(result, needs)) {
    const read = yield* source.pages(round.map(({ cluster }) => result.rangeOf(cluster)));
    for (const [at, { cluster }] of round.entries()) {
      const page = itemAt(read, at);
      pages.set(cluster, typeof page === "string" ? page : page.slice());
    }
    result.requireMemory(pages.size);
  }
  result.set(pages);
  return () => result;
}

/**
 * Returns bits of which those clusters that differ between two bitmaps are those of `after`. The bitmaps have the shape of the bits, and
 * `before` has their bits.
 */
export function withChanges(bits: ClusterBits, before: Bitmap, after: Bitmap): ClusterBits {
  const result = bits.fork();
  const held = after.clone();
  const changed: (readonly [number, Page])[] = [];
  for (let cluster = 0; cluster < bits.count; cluster++) {
    const range = bits.rangeOf(cluster);
    const page = held.pageAt(range);
    if (!equalPages(page, before.pageAt(range), range.end - range.first)) changed.push([cluster, page]);
  }
  result.set(changed);
  return result;
}
