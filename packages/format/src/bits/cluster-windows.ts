import { wordsOfBytes } from "../bitmap/bit-bytes.ts";
import type { BitRange } from "../bitmap/shape.ts";
import { itemAt } from "../elements.ts";
import { type Problem, QdbError } from "../errors.ts";
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

/** Verified bits of a bitmap: those of stored clusters in a row as words, or clusters in a row that all read as zeros or as ones. */
export type BitPiece =
  | (BitRange & { readonly kind: "zeros" | "ones" })
  | (BitRange & {
      readonly kind: "data";
      /** The words of whole clusters: of one, or of those that lie together in the file, up to 64 KiB. Bits outside the range are zero. */
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
  /** Index of the first cluster, and of the one that follows the last. */
  readonly first: number;
  readonly end: number;
  readonly #map: ClusterMap;
  readonly #range: BitRange;

  /** Makes a window of the clusters `first` to `end - 1`, which `ranges` has. Only the bits inside `range` are given out. */
  constructor(map: ClusterMap, first: number, end: number, ranges: readonly ByteRange[], range: BitRange) {
    this.#map = map;
    this.first = first;
    this.end = end;
    this.#range = range;
    this.endBit = Math.min(range.end, end * map.clusterSize * 8);
    this.ranges = ranges;
  }

  /** Returns the bytes of one of `ranges`. @throws {Error} if they are more or fewer than it has: bits that are missing would count as clean */
  pieceOf(pieces: readonly Uint8Array[], range: number): Uint8Array {
    const piece = pieceAt(pieces, range);
    const { length } = itemAt(this.ranges, range);
    if (piece.length !== length) throw new Error(`a range of ${length} bytes was answered with ${piece.length} bytes`);
    return piece;
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
   * @throws {QdbError} BAD_CHECKSUM if a cluster does not match its checksum; the bits before it were yielded
   */
  *bits(pieces: readonly Uint8Array[]): Generator<BitPiece, void> {
    const map = this.#map;
    const last = this.end;
    const { clusterSize } = map;
    let range = 0;
    let at = 0;
    for (let cluster = this.first; cluster < last; ) {
      const kind = map.kind(cluster);
      const base = cluster * clusterSize * 8;
      let bytes: Uint8Array | undefined;
      let problem: Problem | undefined;
      if (kind === "data") {
        // The clusters of a run are one behind the other in the file, so that one range has them.
        const piece = this.pieceOf(pieces, range);
        const start = at;
        const runEnd = endOfRun(map, cluster, Math.min(last, cluster + Math.max(1, (STEP_WORDS * 4) / clusterSize)));
        for (; cluster < runEnd; cluster++) {
          problem = map.verify(cluster, piece.subarray(at, at + clusterSize));
          if (problem !== undefined) break;
          at += clusterSize;
        }
        bytes = piece.subarray(start, at);
        if (at === piece.length) {
          range++;
          at = 0;
        }
      } else while (cluster < last && map.kind(cluster) === kind) cluster = endOfRun(map, cluster, last);
      const first = Math.max(base, this.#range.first);
      const end = Math.min(cluster * clusterSize * 8, this.#range.end);
      if (kind !== "data") yield { kind, first, end };
      else if (bytes?.length) yield { kind, first, end, base, words: wordsOfBytes(bytes, first - base, end - base) };
      if (problem !== undefined) throw QdbError.from(problem);
    }
  }
}

/** Returns the end of the run of clusters that begins with `cluster`, at most `end`. */
function endOfRun(map: ClusterMap, cluster: number, end: number): number {
  return map.runEnd?.(cluster, end) ?? cluster + 1;
}

/** Splits the clusters that have the bits of a range into windows, in order. A window ends when its stored clusters have `bytes` bytes. */
export function* windows(
  map: ClusterMap,
  range: BitRange = { first: 0, end: map.bitCount },
  bytes = WINDOW_BYTES,
): Generator<Window, void> {
  const { clusterSize } = map;
  if (range.first >= range.end) return;
  const last = Math.ceil(range.end / (clusterSize * 8));
  let first = Math.floor(range.first / (clusterSize * 8));
  let ranges: { offset: number; length: number }[] = [];
  let stored = 0;
  let pieces = 0;
  let before: ClusterKind | undefined;
  for (let cluster = first; cluster < last; ) {
    const kind = map.kind(cluster);
    const isData = kind === "data";
    const room = isData ? Math.min((bytes - stored) / clusterSize, WINDOW_PIECES - pieces) : WINDOW_CLUSTERS;
    const most = Math.min(cluster + Math.ceil(room), first + WINDOW_CLUSTERS + 1, last);
    const runEnd = endOfRun(map, cluster, most);
    if (isData) {
      const offset = map.offset(cluster);
      const length = (runEnd - cluster) * clusterSize;
      const final = ranges.at(-1);
      if (final !== undefined && final.offset + final.length === offset) final.length += length;
      else ranges.push({ offset, length });
      stored += length;
      pieces += runEnd - cluster;
    } else if (kind !== before) pieces++;
    before = kind;
    cluster = runEnd;
    const isFull = stored >= bytes || pieces >= WINDOW_PIECES || cluster - first > WINDOW_CLUSTERS;
    if (!isFull && cluster < last) continue;
    yield new Window(map, first, cluster, ranges, range);
    first = cluster;
    ranges = [];
    stored = 0;
    pieces = 0;
  }
}
