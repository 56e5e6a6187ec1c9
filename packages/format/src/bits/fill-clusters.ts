// Writes clusters of bits into a buffer, as a file has them.
import { bytesOfWords } from "../bitmap/bit-bytes.ts";
import { type Page, wordsOfPage } from "../bitmap/page.ts";
import { QdbError } from "../errors.ts";
import { type Plan, pieceAt, type ReadRange, read } from "../ports/plan.ts";
import type { ClusterMap } from "./cluster-map.ts";

/** Clusters that follow each other, from the first up to but not including the second. */
export type ClusterRun = [first: number, end: number];

/** Adds a cluster to runs in ascending order. */
export function addToRuns(runs: ClusterRun[], cluster: number): void {
  const last = runs.at(-1);
  if (last?.[1] === cluster) last[1]++;
  else runs.push([cluster, cluster + 1]);
}

/** Writes a page of `bitCount` bits. */
export function putPage(page: Page, bitCount: number, into: Uint8Array): void {
  if (page === "zeros") into.fill(0);
  else if (page === "ones" && bitCount === into.length * 8) into.fill(0xff);
  else into.set(bytesOfWords(wordsOfPage(page, bitCount), into.length));
}

/**
 * Reads runs [first, end) of stored clusters in one round, and verifies each cluster. `partOf` returns the part of the buffer for a run.
 * Clusters that follow each other in the file are read as one range.
 * @throws {QdbError} BAD_CHECKSUM if a cluster does not match its checksum
 */
export function* fillStored(
  map: ClusterMap,
  runs: readonly ClusterRun[],
  partOf: (first: number, end: number) => Uint8Array,
): Plan<void> {
  const { clusterSize } = map;
  const ranges: (ReadRange & { readonly into: Uint8Array })[] = [];
  for (const [first, end] of runs) {
    for (let from = first, to = first; from < end; from = to) {
      const offset = map.offset(from);
      to = map.runEnd?.(from, end) ?? from + 1;
      ranges.push({ offset, length: (to - from) * clusterSize, into: partOf(from, to) });
    }
  }
  const pieces = yield* read(ranges);
  for (const [at, { into }] of ranges.entries()) {
    const piece = pieceAt(pieces, at);
    if (piece !== into) into.set(piece);
  }
  for (const [first, end] of runs) {
    for (let cluster = first; cluster < end; cluster++) {
      const problem = map.verify(cluster, partOf(cluster, cluster + 1));
      if (problem !== undefined) throw QdbError.from(problem);
    }
  }
}
