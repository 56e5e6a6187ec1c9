import { wordsOfBytes } from "../bitmap/bit-bytes.ts";
import type { BitRange } from "../bitmap/shape.ts";
import { itemAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { pieceAt } from "../ports/plan.ts";
import type { ByteRange } from "../ports/source.ts";
import type { ClusterKind } from "../records/l1.ts";
import type { ClusterMap } from "./cluster-map.ts";

/**
 * By default, a window ends when its stored clusters have this many bytes. The runs of their bits then fit the memory bound of spec §7.4.
 */
export const WINDOW_BYTES = 256 * 1024;
/** Maximum number of clusters in a window, stored or not. Progress is reported after each window. */
const WINDOW_CLUSTERS = 65536;
/** Maximum number of pieces in a window: a reader that holds bits back has an object for each. */
const WINDOW_PIECES = 2048;

/**
 * Maximum number of words in one call of a visitor. A visitor that collects runs puts them out after each call, since they can take 32
 * bytes of memory for each byte of bits.
 */
const STEP_WORDS = 16_384;

/** Verified bits of a bitmap: those of a stored cluster as words, or clusters in a row that all read as zeros or as ones. */
export type BitPiece =
  | (BitRange & { readonly kind: "zeros" | "ones" })
  | (BitRange & {
      readonly kind: "data";
      /** The words of the whole cluster. Bits outside the range are zero. */
      readonly words: Uint32Array;
      /** Index of the first bit of the first word, a multiple of 32. */
      readonly base: number;
    });

/** Shows a piece to a visitor. */
export function show(piece: BitPiece, visitor: BitVisitor): void {
  const { first, end } = piece;
  if (piece.kind === "data") {
    const { words, base } = piece;
    // Words past the end of the range have none of its bits.
    for (let at = 0; base + at * 32 < end; at += STEP_WORDS)
      visitor.pushWords(words.subarray(at, at + STEP_WORDS), base + at * 32);
  } else if (piece.kind === "ones") {
    visitor.pushDirty({ first, end });
  } else {
    visitor.pushClean(first);
  }
}

/** Receives all bits of a range of a bitmap, in ascending order and without gaps: each call continues where the call before it ended. */
export interface BitVisitor {
  /** Receives bits as words. `base`, a multiple of 32, is the index of the first bit of the first word. Bits outside the range are zero. */
  pushWords(words: Uint32Array, base: number): void;
  /** Receives bits that are all dirty. */
  pushDirty(range: BitRange): void;
  /** Receives clean bits: all from `first` up to the first bit of the next call, or up to the end of the range. */
  pushClean(first: number): void;
}

/**
 * Consecutive clusters of a bitmap that are read in one round. The caller reads `ranges` and hands their bytes back, one piece for each
 * range; the window then gives out the bits in them.
 */
export class Window {
  /** The ranges of the file that hold the stored clusters, in order. Consecutive clusters that are adjacent in the file share a range. */
  readonly ranges: readonly ByteRange[];
  /** Index of the bit that follows the last bit of the window. */
  readonly endBit: number;
  readonly #map: ClusterMap;
  readonly #first: number;
  readonly #end: number;
  readonly #range: BitRange;

  /** Makes a window of the clusters `first` to `end - 1`. Only the bits inside `range` are given out. */
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

  /** Returns the indices of those clusters of the window that the file stores. */
  storedClusters(): number[] {
    const clusters: number[] = [];
    for (let cluster = this.#first; cluster < this.#end; cluster++) {
      if (this.#map.kind(cluster) === "data") clusters.push(cluster);
    }
    return clusters;
  }

  /** Yields each stored cluster of the window with its bytes, which are not verified. `pieces` has the bytes of each of `ranges`. */
  *stored(pieces: readonly Uint8Array[]): Generator<readonly [cluster: number, bytes: Uint8Array], void> {
    const { clusterSize } = this.#map;
    let range = 0;
    let at = 0;
    for (const cluster of this.storedClusters()) {
      const piece = pieceAt(pieces, range);
      const { length } = itemAt(this.ranges, range);
      // If a piece is short, the bits that it lacks would count as clean.
      if (piece.length !== length)
        throw new Error(`a range of ${length} bytes was answered with ${piece.length} bytes`);
      yield [cluster, piece.subarray(at, at + clusterSize)];
      at += clusterSize;
      if (at < length) continue;
      range++;
      at = 0;
    }
  }

  /**
   * Verifies each stored cluster and then shows its bits to a visitor. `pieces` has the bytes of each of `ranges`.
   * @throws {QdbError} BAD_CHECKSUM if a cluster does not match its checksum
   */
  visit(pieces: readonly Uint8Array[], visitor: BitVisitor): void {
    for (const piece of this.bits(pieces)) show(piece, visitor);
  }

  /**
   * Verifies each stored cluster and then yields its bits. Clusters in a row that read as zeros, or as ones, are one piece. `pieces` has the
   * bytes of each of `ranges`.
   * @throws {QdbError} BAD_CHECKSUM if a cluster does not match its checksum
   */
  *bits(pieces: readonly Uint8Array[]): Generator<BitPiece, void> {
    const clusterBits = this.#map.clusterSize * 8;
    const stored = this.stored(pieces);
    for (let cluster = this.#first; cluster < this.#end; ) {
      const kind = this.#map.kind(cluster);
      const base = cluster * clusterBits;
      let next = cluster + 1;
      if (kind !== "data") while (next < this.#end && this.#map.kind(next) === kind) next++;
      const first = Math.max(base, this.#range.first);
      const end = Math.min(next * clusterBits, this.#range.end);
      if (kind === "data") yield { kind, first, end, base, words: this.#verified(cluster, stored, { first, end }) };
      else yield { kind, first, end };
      cluster = next;
    }
  }

  #verified(cluster: number, stored: ReturnType<Window["stored"]>, { first, end }: BitRange): Uint32Array {
    const next = stored.next().value;
    if (next === undefined || next[0] !== cluster) throw new Error("a window was visited with the pieces of another");
    const problem = this.#map.verify(cluster, next[1]);
    if (problem !== undefined) throw QdbError.from(problem);
    const base = cluster * this.#map.clusterSize * 8;
    return wordsOfBytes(next[1], first - base, end - base);
  }
}

/** Splits the clusters that have the bits of a range into windows, in order. A window ends when its stored clusters have `bytes` bytes. */
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
  let pieces = 0;
  let before: ClusterKind | undefined;
  for (let cluster = first; cluster < last; cluster++) {
    const kind = map.kind(cluster);
    if (kind === "data") stored += map.clusterSize;
    if (kind === "data" || kind !== before) pieces++;
    before = kind;
    const isFull = stored >= bytes || pieces >= WINDOW_PIECES || cluster - first >= WINDOW_CLUSTERS;
    if (!isFull && cluster + 1 < last) continue;
    yield new Window(map, first, cluster + 1, range);
    first = cluster + 1;
    stored = 0;
    pieces = 0;
  }
}
