// Changes that go through all clusters of a bitmap. They read what the result depends on, in rounds, and nothing else.
import type { Bitmap } from "../bitmap/bitmap.ts";
import { type Combination, isRoundedInward, requireCombinable } from "../bitmap/combination.ts";
import { combinePages, equalPages, invertPage, outcomeOf, type Page, type PageKind } from "../bitmap/page.ts";
import { itemAt } from "../elements.ts";
import type { Plan } from "../ports/plan.ts";
import { atGranularity, type BitSource } from "./bit-source.ts";
import { type Apply, ClusterBits, type ClusterBitsOptions } from "./cluster-bits.ts";
import { roundsOf } from "./cluster-rounds.ts";

/** A cluster whose words, or those of its source, have to be read; "read" stands for them. The other page was uniform when the need was found. */
interface Need {
  readonly cluster: number;
  readonly target: "zeros" | "ones" | "read";
  readonly source: "zeros" | "ones" | "read";
}

/** Pages that a change sets, of which those in words take memory. */
class Results {
  readonly pages = new Map<number, Page>();
  readonly #bits: ClusterBits;
  #held = 0;

  /** `bits` says how much memory there is. */
  constructor(bits: ClusterBits) {
    this.#bits = bits;
  }

  /** @throws {QdbError} LIMIT */
  set(cluster: number, page: Page): void {
    if (typeof page === "object") this.#bits.requireMemory(++this.#held);
    this.pages.set(cluster, page);
  }

  /** Returns the change. */
  apply(): ClusterBits {
    this.#bits.set(this.pages);
    return this.#bits;
  }
}

/**
 * Prepares to combine bits with those of a source. If the granularities differ, the source is rounded outward, or inward for "subtract", so
 * that no dirty byte becomes clean for want of precision; "xor" allows no rounding.
 * @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ; USAGE for "xor" of two granularities; BAD_CHECKSUM; LIMIT
 */
export function* prepareCombination(bits: ClusterBits, how: Combination, given: BitSource): Plan<Apply> {
  requireCombinable(how, bits, given);
  const source = atGranularity(given, bits.granularity, isRoundedInward(how));
  const results = new Results(bits);
  const needOf = (cluster: number): Need | undefined => {
    const target = bits.kindOf(cluster);
    const other = source.kind(bits.rangeOf(cluster));
    const outcome = outcomeOf(how, target, other);
    if (outcome === "zeros" || outcome === "ones") results.set(cluster, outcome);
    if (outcome === "target" || outcome === "zeros" || outcome === "ones") return undefined;
    // The result does not depend on the bits of a cluster that is not read: a uniform page stands for them.
    const needsTarget = outcome === "both" || outcome === "inverted target";
    const needsSource = outcome !== "inverted target";
    return {
      cluster,
      target: needsTarget ? toRead(target) : uniform(target),
      source: needsSource ? toRead(other) : uniform(other),
    };
  };
  for (const round of roundsOf(bits, needOf)) {
    const sources = round.filter((need) => need.source === "read");
    const sourcePages = yield* source.pages(sources.map(({ cluster }) => bits.rangeOf(cluster)));
    const targets = round.filter((need) => need.target === "read");
    const targetPages = yield* bits.load(targets.map(({ cluster }) => cluster));
    let nextSource = 0;
    let nextTarget = 0;
    for (const need of round) {
      const { first, end } = bits.rangeOf(need.cluster);
      const target = need.target === "read" ? itemAt(targetPages, nextTarget++) : need.target;
      const other = need.source === "read" ? itemAt(sourcePages, nextSource++) : need.source;
      const page = combinePages(how, target, other, end - first);
      if (equalPages(page, target, end - first)) continue;
      // The words of a source may be a view of bytes that others hold.
      results.set(need.cluster, page === other && typeof page === "object" ? page.slice() : page);
    }
  }
  return () => results.apply();
}

function toRead(kind: PageKind): Need["target"] {
  return kind === "words" ? "read" : kind;
}

function uniform(kind: PageKind): "zeros" | "ones" {
  if (kind === "words") throw new Error("a combination that needs no words of a page has one in words");
  return kind;
}

/** Prepares to invert every bit. Reads all stored clusters. @throws {QdbError} BAD_CHECKSUM; LIMIT */
export function* prepareInversion(bits: ClusterBits): Plan<Apply> {
  const results = new Results(bits);
  const needOf = (cluster: number): number | undefined => {
    const kind = bits.kindOf(cluster);
    if (kind === "words") return cluster;
    results.set(cluster, kind === "zeros" ? "ones" : "zeros");
    return undefined;
  };
  for (const round of roundsOf(bits, needOf)) {
    const pages = yield* bits.load(round);
    for (const [at, cluster] of round.entries()) {
      const { first, end } = bits.rangeOf(cluster);
      results.set(cluster, invertPage(itemAt(pages, at), end - first));
    }
  }
  return () => results.apply();
}

/**
 * Prepares to change the granularity. Every byte that is dirty stays dirty. Reads all stored clusters.
 * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape; BAD_CHECKSUM; LIMIT
 */
export function* prepareGranularity(bits: ClusterBits, granularity: number, options: ClusterBitsOptions): Plan<Apply> {
  if (granularity === bits.granularity) return () => bits;
  const source = atGranularity(bits, granularity, false);
  const result = ClusterBits.uniform({ size: bits.size, granularity }, "zeros", options);
  const results = new Results(result);
  const needOf = (cluster: number): number | undefined => {
    const kind = source.kind(result.rangeOf(cluster));
    if (kind === "words") return cluster;
    if (kind === "ones") results.set(cluster, kind);
    return undefined;
  };
  for (const round of roundsOf(result, needOf)) {
    const read = yield* source.pages(round.map((cluster) => result.rangeOf(cluster)));
    for (const [at, cluster] of round.entries()) {
      const page = itemAt(read, at);
      results.set(cluster, typeof page === "string" ? page : page.slice());
    }
  }
  return () => results.apply();
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
