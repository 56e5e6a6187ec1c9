import type { BitRange } from "../bitmap/shape.ts";
import * as kernel from "../bitmap/words.ts";
import { itemAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { pieceAt } from "../ports/plan.ts";
import type { ByteRange } from "../ports/source.ts";
import type { ClusterMap } from "./cluster-map.ts";

/** Most bytes of stored clusters in a window, by default. The runs made of so many bytes fit the memory bound of spec §7.4. */
export const WINDOW_BYTES = 256 * 1024;
/** Most clusters in a window, stored or not. An abort signal is seen, and progress reported, after this many at the latest. */
const WINDOW_CLUSTERS = 65536;

/** Most words in one call of a visitor. Between two calls the caller puts out the runs made so far: up to 32 bytes for each byte of bits. */
const STEP_WORDS = 16_384;

/** Receives the bits of a range of a bitmap in ascending order, without a gap. */
export interface BitVisitor {
  /** Receives the bits from `base` on, a multiple of 32, as words. Bits outside the range are zero. */
  pushWords(words: Uint32Array, base: number): void;
  /** Receives a range of dirty bits. */
  pushDirty(range: BitRange): void;
  /** All bits from `first` up to those of the next call are clean. */
  pushClean(first: number): void;
}

/** Some clusters of a bitmap in a row: the ranges of the file to read for them in one round, and the bits in those bytes. */
export class Window {
  /** The ranges of the file that hold the stored clusters. Clusters that are adjacent in the file share a range. */
  readonly ranges: readonly ByteRange[];
  /** Index of the first bit behind the window. */
  readonly endBit: number;
  readonly #map: ClusterMap;
  readonly #first: number;
  readonly #end: number;
  readonly #range: BitRange;

  /** Clusters `first` to `end - 1`; bits outside of `range` are left out. */
  constructor(map: ClusterMap, first: number, end: number, range: BitRange) {
    this.#map = map;
    this.#first = first;
    this.#end = end;
    this.#range = range;
    this.endBit = Math.min(range.end, end * map.clusterSize * 8);
    const ranges: { offset: number; length: number }[] = [];
    for (const cluster of this.storedClusters()) {
      const offset = map.offset(cluster);
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.length === offset) last.length += map.clusterSize;
      else ranges.push({ offset, length: map.clusterSize });
    }
    this.ranges = ranges;
  }

  /** The clusters of the window that the file stores. */
  storedClusters(): number[] {
    const clusters: number[] = [];
    for (let cluster = this.#first; cluster < this.#end; cluster++) {
      if (this.#map.kind(cluster) === "data") clusters.push(cluster);
    }
    return clusters;
  }

  /** The stored clusters of the window with their bytes, which are not verified. `pieces` are the bytes of `ranges`. */
  *stored(pieces: readonly Uint8Array[]): Generator<readonly [cluster: number, bytes: Uint8Array], void> {
    const { clusterSize } = this.#map;
    let range = 0;
    let at = 0;
    for (const cluster of this.storedClusters()) {
      const piece = pieceAt(pieces, range);
      const { length } = itemAt(this.ranges, range);
      // A short piece would have fewer bits, and those that are missing would count as clean.
      if (piece.length !== length)
        throw new Error(`a range of ${length} bytes was answered with ${piece.length} bytes`);
      yield [cluster, piece.subarray(at, at + clusterSize)];
      at += clusterSize;
      if (at < length) continue;
      range++;
      at = 0;
    }
  }

  /** Verifies each cluster and then shows its bits to a visitor. `pieces` are the bytes of `ranges`. @throws {QdbError} BAD_CHECKSUM */
  visit(pieces: readonly Uint8Array[], visitor: BitVisitor): void {
    for (const _ of this.steps(pieces, visitor));
  }

  /** Does what `visit` does, and yields after each 64 KiB of bits and at the end. @throws {QdbError} BAD_CHECKSUM */
  *steps(pieces: readonly Uint8Array[], visitor: BitVisitor): Generator<void, void> {
    const clusterBits = this.#map.clusterSize * 8;
    const stored = this.stored(pieces);
    for (let cluster = this.#first; cluster < this.#end; cluster++) {
      const base = cluster * clusterBits;
      const first = Math.max(base, this.#range.first);
      const end = Math.min(base + clusterBits, this.#range.end);
      const kind = this.#map.kind(cluster);
      if (kind === "zeros") {
        visitor.pushClean(first);
      } else if (kind === "ones") {
        visitor.pushDirty({ first, end });
      } else {
        const next = stored.next().value;
        if (next === undefined || next[0] !== cluster)
          throw new Error("a window was visited with the pieces of another");
        const problem = this.#map.verify(cluster, next[1]);
        if (problem !== undefined) throw QdbError.from(problem);
        const words = clippedWords(next[1], base, first, end);
        // Words behind the range have none of its bits.
        for (let at = 0; base + at * 32 < end; at += STEP_WORDS) {
          visitor.pushWords(words.subarray(at, at + STEP_WORDS), base + at * 32);
          yield;
        }
      }
    }
    yield;
  }
}

/** The bytes of a cluster as words. Where bits outside [first, end) have to be cleared, the words are a copy. */
function clippedWords(bytes: Uint8Array, base: number, first: number, end: number): Uint32Array {
  if (first === base && end === base + bytes.length * 8) return kernel.viewAsWords(bytes);
  const words = kernel.wordsFromBytes(bytes);
  kernel.fillBits(words, 0, first - base, false);
  kernel.fillBits(words, end - base, words.length * 32, false);
  return words;
}

/** Splits the clusters that have the bits of a range into windows, in order. `bytes` limits the stored bytes of a window. */
export function* windows(
  map: ClusterMap,
  range: BitRange = { first: 0, end: map.bitCount },
  bytes = WINDOW_BYTES,
): Generator<Window, void> {
  const clusterBits = map.clusterSize * 8;
  if (range.first >= range.end) return;
  const last = Math.ceil(range.end / clusterBits);
  let first = Math.floor(range.first / clusterBits);
  let stored = 0;
  for (let cluster = first; cluster < last; cluster++) {
    if (map.kind(cluster) === "data") stored += map.clusterSize;
    if (stored < bytes && cluster - first < WINDOW_CLUSTERS && cluster + 1 < last) continue;
    yield new Window(map, first, cluster + 1, range);
    first = cluster + 1;
    stored = 0;
  }
}
