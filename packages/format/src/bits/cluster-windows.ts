import { type BitRange, bitsOfShape } from "../bitmap/shape.ts";
import * as kernel from "../bitmap/words.ts";
import { itemAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { pieceAt } from "../ports/plan.ts";
import type { ByteRange } from "../ports/source.ts";
import type { ClusterMap } from "./cluster-map.ts";

/** Bytes of stored clusters that one round reads at most, unless told otherwise: enough for speed, and no more runs than a reader may hold. */
export const WINDOW_BYTES = 256 * 1024;
/** Clusters that a window spans at most, so that a long stretch of zeros gives signals and progress their turn. */
const WINDOW_CLUSTERS = 65536;

/** Words that a visitor is shown at a time: the runs that it makes of them, 32 bytes for each byte at worst, can leave then. */
const STEP_WORDS = 16_384;

/** Receives bits in ascending order, without a gap. */
export interface BitVisitor {
  /** Bits from `base` (a multiple of 32) on, as words; those outside the range asked for are zero. */
  pushWords(words: Uint32Array, base: number): void;
  pushDirty(bits: BitRange): void;
  /** The bits from `first` on are clean. */
  pushClean(first: number): void;
}

/** A piece of a bitmap's data: which bytes to read for it (one round), and what they say. */
export class Window {
  readonly ranges: readonly ByteRange[];
  /** Bits behind the window's last one. */
  readonly endBit: number;
  readonly #map: ClusterMap;
  readonly #first: number;
  readonly #end: number;
  readonly #bits: BitRange;

  constructor(map: ClusterMap, first: number, end: number, bits: BitRange) {
    this.#map = map;
    this.#first = first;
    this.#end = end;
    this.#bits = bits;
    this.endBit = Math.min(bits.end, end * map.clusterSize * 8);
    const ranges: { offset: number; length: number }[] = [];
    for (const cluster of this.storedClusters()) {
      const offset = map.offset(cluster);
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.length === offset) last.length += map.clusterSize;
      else ranges.push({ offset, length: map.clusterSize });
    }
    this.ranges = ranges;
  }

  /** The clusters of the window that stand in the file. */
  storedClusters(): number[] {
    const clusters: number[] = [];
    for (let cluster = this.#first; cluster < this.#end; cluster++) {
      if (this.#map.kind(cluster) === "data") clusters.push(cluster);
    }
    return clusters;
  }

  /** The stored clusters of the window with their bytes. */
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

  /** Verifies the clusters and hands their bits on, clipped to the range. @throws {QdbError} BAD_CHECKSUM */
  visit(pieces: readonly Uint8Array[], visitor: BitVisitor): void {
    for (const _ of this.steps(pieces, visitor));
  }

  /** The same, with a stop after each 64 KiB of data at most, and at the end. @throws {QdbError} BAD_CHECKSUM */
  *steps(pieces: readonly Uint8Array[], visitor: BitVisitor): Generator<void, void> {
    const clusterBits = this.#map.clusterSize * 8;
    const stored = this.stored(pieces);
    for (let cluster = this.#first; cluster < this.#end; cluster++) {
      const base = cluster * clusterBits;
      const first = Math.max(base, this.#bits.first);
      const end = Math.min(base + clusterBits, this.#bits.end);
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
        // Steps that lie behind the range have no bits of it.
        for (let at = 0; base + at * 32 < end; at += STEP_WORDS) {
          visitor.pushWords(words.subarray(at, at + STEP_WORDS), base + at * 32);
          yield;
        }
      }
    }
    yield;
  }
}

/** The words of a cluster; bits outside [first, end) are cleared, in a copy, since the bytes are not ours. */
function clippedWords(bytes: Uint8Array, base: number, first: number, end: number): Uint32Array {
  if (first === base && end === base + bytes.length * 8) return kernel.viewAsWords(bytes);
  const words = kernel.wordsFromBytes(bytes);
  kernel.fillBits(words, 0, first - base, false);
  kernel.fillBits(words, end - base, words.length * 32, false);
  return words;
}

/** Cuts the part of a bitmap's data that holds some bits into windows, in order. */
export function* windows(
  map: ClusterMap,
  bits: BitRange = { first: 0, end: bitsOfShape(map.shape) },
  bytes = WINDOW_BYTES,
): Generator<Window, void> {
  const clusterBits = map.clusterSize * 8;
  if (bits.first >= bits.end) return;
  const last = Math.ceil(bits.end / clusterBits);
  let first = Math.floor(bits.first / clusterBits);
  let stored = 0;
  for (let cluster = first; cluster < last; cluster++) {
    if (map.kind(cluster) === "data") stored += map.clusterSize;
    if (stored < bytes && cluster - first < WINDOW_CLUSTERS && cluster + 1 < last) continue;
    yield new Window(map, first, cluster + 1, bits);
    first = cluster + 1;
    stored = 0;
  }
}
