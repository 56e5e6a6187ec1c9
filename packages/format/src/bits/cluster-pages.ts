// Ranges of bits, put together from clusters.
import { type Page, type PageKind, wordsOfPage } from "../bitmap/page.ts";
import type { BitRange } from "../bitmap/shape.ts";
import * as kernel from "../bitmap/words.ts";
import { itemAt } from "../elements.ts";
import type { Plan } from "../ports/plan.ts";

/** Bits that are read cluster by cluster. */
export interface ClusterPages {
  /** Bytes per cluster. */
  readonly clusterSize: number;
  /** Returns the bits of a cluster. */
  rangeOf(cluster: number): BitRange;
  /** Returns what is known of a cluster without reading it. */
  kindOf(cluster: number): PageKind;
  /** Returns the pages of clusters, for reading only. */
  load(clusters: readonly number[]): Plan<readonly Page[]>;
}

/** Returns what is known of a range of bits without reading. */
export function kindOfRange(clusters: ClusterPages, { first, end }: BitRange): PageKind {
  const bits = clusters.clusterSize * 8;
  let kind: PageKind | undefined;
  for (let cluster = Math.floor(first / bits); cluster * bits < end; cluster++) {
    const next = clusters.kindOf(cluster);
    if (next === "words" || (kind !== undefined && kind !== next)) return "words";
    kind = next;
  }
  return kind ?? "zeros";
}

/** Returns a page for each range, for reading only. Reads the clusters of ranges that are neither all zeros nor all ones, in one round. */
export function* pagesOf(clusters: ClusterPages, ranges: readonly BitRange[]): Plan<readonly Page[]> {
  const bits = clusters.clusterSize * 8;
  const kinds = ranges.map((range) => kindOfRange(clusters, range));
  const needed = new Set<number>();
  for (const [at, { first, end }] of ranges.entries()) {
    if (kinds[at] !== "words") continue;
    for (let cluster = Math.floor(first / bits); cluster * bits < end; cluster++) needed.add(cluster);
  }
  const list = [...needed];
  const loaded = yield* clusters.load(list);
  const wordsOf = new Map(
    list.map((cluster, at) => {
      const { first, end } = clusters.rangeOf(cluster);
      return [cluster, wordsOfPage(itemAt(loaded, at), end - first)];
    }),
  );
  return ranges.map((range, at) => {
    const kind = itemAt(kinds, at);
    return kind === "words" ? assemble(range, bits, wordsOf) : kind;
  });
}

/** Returns the bits of a range that is a part of a cluster, or that begins and ends at borders of clusters or at the end of the bitmap. */
function assemble({ first, end }: BitRange, bits: number, wordsOf: ReadonlyMap<number, Uint32Array>): Uint32Array {
  const start = Math.floor(first / bits);
  const wordsAt = (cluster: number): Uint32Array => {
    const words = wordsOf.get(cluster);
    if (words === undefined) throw new Error("the words of a cluster are missing");
    return words;
  };
  if (end <= (start + 1) * bits) return kernel.sliceBits(wordsAt(start), first - start * bits, end - start * bits);
  const words = new Uint32Array(kernel.wordsFor(end - first));
  for (let cluster = start; cluster * bits < end; cluster++)
    words.set(wordsAt(cluster), ((cluster - start) * bits) / 32);
  return words;
}
