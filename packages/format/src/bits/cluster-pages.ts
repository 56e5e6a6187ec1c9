// Ranges of bits, put together from clusters.
import type { Page, PageKind } from "../bitmap/page.ts";
import { kindOfRange, wordsOfRange } from "../bitmap/page-ranges.ts";
import type { BitRange } from "../bitmap/shape.ts";
import { itemAt } from "../elements.ts";
import type { Plan } from "../ports/plan.ts";

/** Bits that are read cluster by cluster. */
export interface ClusterPages {
  /** Number of bits. */
  readonly bitCount: number;
  /** Bytes per cluster. */
  readonly clusterSize: number;
  /** Returns what is known of a cluster without reading it. */
  kindOf(cluster: number): PageKind;
  /** Returns the pages of clusters, for reading only. */
  load(clusters: readonly number[]): Plan<readonly Page[]>;
}

/** Returns a page for each range, for reading only. Reads the clusters of ranges that are neither all zeros nor all ones, in one round. */
export function* pagesOf(clusters: ClusterPages, ranges: readonly BitRange[]): Plan<readonly Page[]> {
  const bits = clusters.clusterSize * 8;
  const kinds = ranges.map((range) => kindOfRange(range, bits, (cluster) => clusters.kindOf(cluster)));
  const needed = new Set<number>();
  for (const [at, { first, end }] of ranges.entries()) {
    if (kinds[at] !== "words") continue;
    for (let cluster = Math.floor(first / bits); cluster * bits < end; cluster++) needed.add(cluster);
  }
  const list = [...needed];
  const loaded = yield* clusters.load(list);
  const pageOf = new Map(list.map((cluster, at) => [cluster, itemAt(loaded, at)]));
  const pageAt = (cluster: number): Page => {
    const page = pageOf.get(cluster);
    if (page === undefined) throw new Error("the page of a cluster is missing");
    return page;
  };
  return ranges.map((range, at) => {
    const kind = itemAt(kinds, at);
    return kind === "words" ? wordsOfRange(range, bits, clusters.bitCount, pageAt) : kind;
  });
}
