// Bits that were read and verified, and the extents in them. A reader holds bits back, not extents: they take less time and memory.
import { ExtentBatch, RunCollector } from "../bitmap/runs.ts";
import { type BitmapShape, type BitRange, bitsOutward, type DiskPart, rangeOfPart } from "../bitmap/shape.ts";
import { type Plan, put, read } from "../ports/plan.ts";
import type { ClusterMap } from "./cluster-map.ts";
import { type BitPiece, windows } from "./cluster-windows.ts";
import type { Scratch } from "./scratch.ts";

/** Returns the bits whose granules overlap the range `within` of the disk; all bits if it is undefined. @throws {QdbError} USAGE */
export function rangeOf(map: ClusterMap, within: DiskPart | undefined): BitRange {
  if (within === undefined) return { first: 0, end: map.bitCount };
  return bitsOutward(rangeOfPart(within, map.shape), map.shape);
}

/** Bits that were read in one round, or some of them, in pieces, each of which was verified. */
export interface VerifiedBits {
  readonly shape: BitmapShape;
  /** All bits that the call reads; the same each time. */
  readonly range: BitRange;
  /** Index of the bit that follows the last bit of the pieces. */
  readonly endBit: number;
  readonly pieces: readonly BitPiece[];
}

/**
 * Reads the bits of a bitmap, or those whose granules overlap the range `within` of the disk, and puts them out in the order of the disk. It does not
 * look for extents, so that bits can be held back in little time and memory. With a scratch, bits are valid until the next ones are put out.
 * @throws {QdbError} BAD_CHECKSUM if a data cluster does not match its checksum; USAGE if `within` is not inside the disk
 */
export function* verifiedBitsPlan(
  map: ClusterMap,
  within: DiskPart | undefined,
  scratch?: Scratch,
): Plan<void, VerifiedBits> {
  const range = rangeOf(map, within);
  const { shape } = map;
  for (const window of windows(map, range)) {
    let pieces: BitPiece[] = [];
    for (const piece of window.bits(yield* read(scratch?.ranges(window.ranges) ?? window.ranges))) {
      pieces.push(piece);
      if (pieces.length < MAX_PIECES) continue;
      yield* put({ shape, range, endBit: piece.end, pieces });
      pieces = [];
    }
    if (pieces.length > 0) yield* put({ shape, range, endBit: window.endBit, pieces });
  }
}

/** Maximum number of pieces that are put out at a time: clusters without data take nothing in the file, but their pieces do in memory. */
const MAX_PIECES = 4096;

/** Returns the number of bytes that bits take in memory, the objects of their pieces included. */
export function memoryOf({ pieces }: VerifiedBits): number {
  return pieces.reduce((sum, piece) => sum + PIECE_BYTES + (piece.kind === "data" ? piece.words.byteLength : 0), 0);
}

/** Returns an upper bound of {@link memoryOf} for the bits whose granules overlap the range `within` of the disk. @throws {QdbError} USAGE */
export function maxMemoryOf(map: ClusterMap, within: DiskPart | undefined): number {
  const { first, end } = rangeOf(map, within);
  const clusters = Math.ceil((end - first) / (map.clusterSize * 8)) + 1;
  return clusters * (map.clusterSize + PIECE_BYTES);
}

/** About as many bytes as the objects of a piece take. */
const PIECE_BYTES = 128;

/** Looks for the extents in bits that arrive in ascending order, and makes batches of them. */
export class ExtentCollector {
  readonly #collector = new RunCollector();
  readonly #within: DiskPart | undefined;

  /** Clips the extents to the range `within` of the disk. */
  constructor(within: DiskPart | undefined) {
    this.#within = within;
  }

  /** Receives bits and yields each batch as soon as it is full. */
  *collect(piece: BitPiece, shape: BitmapShape): Generator<ExtentBatch, void> {
    const { first, end } = piece;
    if (piece.kind === "data") {
      const { words, base } = piece;
      const used = words.subarray(0, Math.ceil((end - base) / 32));
      for (const runs of this.#collector.collect(used, base)) yield this.#batch(runs, shape);
    } else if (piece.kind === "ones") {
      this.#collector.pushDirty({ first, end });
    } else {
      this.#collector.pushClean(first);
    }
  }

  /** Yields the last batches, once the bits of `range` have been received. */
  *finish({ end }: BitRange, shape: BitmapShape): Generator<ExtentBatch, void> {
    for (const runs of this.#collector.finish(end)) yield this.#batch(runs, shape);
  }

  #batch(runs: Uint32Array, shape: BitmapShape): ExtentBatch {
    if (this.#within === undefined) return new ExtentBatch(shape, runs);
    const { offset, length } = rangeOfPart(this.#within, shape);
    return new ExtentBatch(shape, runs, offset, BigInt(offset) + BigInt(length));
  }
}
