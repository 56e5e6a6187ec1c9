// Changes that go through all clusters of a bitmap. They read what the result depends on, in rounds, and nothing else; its bits are computed when
// they are needed.
import { combineBytes, invertBytes } from "../bitmap/bit-bytes.ts";
import type { Bitmap } from "../bitmap/bitmap.ts";
import { type Combination, isRoundedInward, requireCombinable } from "../bitmap/combination.ts";
import { equalPages, outcomeOf, type Page } from "../bitmap/page.ts";
import type { BitRange } from "../bitmap/shape.ts";
import type { Plan } from "../ports/plan.ts";
import { atGranularity, type BitSource } from "./bit-source.ts";
import { type Apply, ClusterBits } from "./cluster-bits.ts";
import { roundsOf } from "./cluster-rounds.ts";
import { CHANGE_KIND, type Compute } from "./derived-clusters.ts";
import { putPage } from "./fill-clusters.ts";
import { type ClusterBitsOptions, ReadableClusters } from "./readable-clusters.ts";
import { Scratch } from "./scratch.ts";

/** What a change makes of clusters: all zeros, all ones, or bits that are computed when they are needed. */
class ClusterChange {
  readonly #bits: ClusterBits;
  readonly #kinds: Uint8Array;

  constructor(bits: ClusterBits) {
    this.#bits = bits;
    this.#kinds = new Uint8Array(bits.count);
  }

  set(cluster: number, kind: "zeros" | "ones"): void {
    this.#kinds[cluster] = kind === "zeros" ? CHANGE_KIND.zeros : CHANGE_KIND.ones;
  }

  derive(cluster: number): void {
    this.#kinds[cluster] = CHANGE_KIND.derived;
  }

  /**
   * Returns the change. Unless the bits are read later, reads now what the computed clusters depend on, so that damage ends the action and
   * not the commit.
   * @throws {QdbError} BAD_CHECKSUM
   */
  *prepare(compute: Compute, work: number): Plan<Apply> {
    if (!this.#bits.readsLater) {
      const { count, clusterSize } = this.#bits;
      const scratch = new Scratch();
      const isDerived = (cluster: number): boolean => this.#kinds[cluster] === CHANGE_KIND.derived;
      for (const [first, end] of roundsOf(count, clusterSize, isDerived))
        yield* compute(first, end, scratch.bytes((end - first) * clusterSize), scratch.part(0));
    }
    return () => {
      this.#bits.change(this.#kinds, compute, work);
      return this.#bits;
    };
  }
}

/**
 * A change after which clusters are read or computed more often than this for one cluster has them computed before: in a row of combinations
 * of two bitmaps with each other, the number would double with each.
 */
const MAX_WORK = 16;

/** Returns how often clusters of bits are read or computed for one of a change. Computes them now if that is too often. */
function* boundedWork(...bits: readonly ReadableClusters[]): Plan<number> {
  const sum = (): number => bits.reduce((total, { work }) => total + work, 1);
  if (sum() > MAX_WORK) for (const one of bits) if (one instanceof ClusterBits) yield* one.hold();
  return sum();
}

/**
 * Prepares to combine bits with those of a source. If the granularities differ, the source is rounded outward, or inward for "subtract", so
 * that no dirty byte becomes clean for want of precision; "xor" allows no rounding.
 * @throws {QdbError} SIZE_MISMATCH if the sizes of the disks differ; USAGE for "xor" of two granularities; BAD_CHECKSUM, unless the bits are read later
 */
export function* prepareCombination(bits: ClusterBits, how: Combination, given: BitSource): Plan<Apply> {
  requireCombinable(how, bits, given);
  const work = yield* boundedWork(bits, ...(given instanceof ReadableClusters ? [given] : []));
  const source = atGranularity(given, bits.granularity, isRoundedInward(how));
  const before = bits.fork();
  const change = new ClusterChange(bits);
  for (let cluster = 0; cluster < bits.count; cluster++) {
    const outcome = outcomeOf(how, before.kindOf(cluster), source.kind(before.rangeOf(cluster)));
    if (outcome === "target") continue;
    if (outcome === "zeros" || outcome === "ones") change.set(cluster, outcome);
    else change.derive(cluster);
  }
  return yield* change.prepare(function* (first, end, into, scratch) {
    yield* before.readInto(first, end, into, scratch.part(0));
    const range = runOf(before, first, end);
    combineBytes(how, into, yield* source.page(range, scratch.part(1)), range.end - range.first);
  }, work);
}

/** Returns the bits of the clusters [first, end). */
function runOf(bits: ClusterBits, first: number, end: number): BitRange {
  return { first: bits.rangeOf(first).first, end: bits.rangeOf(end - 1).end };
}

/** Prepares to invert every bit. @throws {QdbError} BAD_CHECKSUM, unless the bits are read later */
export function* prepareInversion(bits: ClusterBits): Plan<Apply> {
  const work = yield* boundedWork(bits);
  const before = bits.fork();
  const change = new ClusterChange(bits);
  for (let cluster = 0; cluster < bits.count; cluster++) {
    const kind = bits.kindOf(cluster);
    if (kind === "words") change.derive(cluster);
    else change.set(cluster, kind === "zeros" ? "ones" : "zeros");
  }
  return yield* change.prepare(function* (first, end, into, scratch) {
    yield* before.readInto(first, end, into, scratch);
    const range = runOf(before, first, end);
    invertBytes(into, range.end - range.first);
  }, work);
}

/**
 * Prepares to change the granularity. Every byte that is dirty stays dirty.
 * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape; BAD_CHECKSUM, unless the bits are read later
 */
export function* prepareGranularity(bits: ClusterBits, granularity: number, options: ClusterBitsOptions): Plan<Apply> {
  if (granularity === bits.granularity) return () => bits;
  const work = yield* boundedWork(bits);
  const source = atGranularity(bits.fork(), granularity, false);
  const result = ClusterBits.uniform({ size: bits.size, granularity }, "zeros", options);
  const change = new ClusterChange(result);
  for (let cluster = 0; cluster < result.count; cluster++) {
    const kind = source.kind(result.rangeOf(cluster));
    if (kind === "words") change.derive(cluster);
    else if (kind === "ones") change.set(cluster, kind);
  }
  return yield* change.prepare(function* (first, end, into, scratch) {
    const range = runOf(result, first, end);
    putPage(yield* source.page(range, scratch), range.end - range.first, into);
  }, work);
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
