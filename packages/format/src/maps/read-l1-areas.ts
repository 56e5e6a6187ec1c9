import type { QdbError } from "../errors.ts";
import { viewOf } from "../layout/fields.ts";
import { type Plan, pieceAt, readEach } from "../ports/plan.ts";
import type { ByteRange } from "../ports/source.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import type { OwnedRanges } from "./owned-ranges.ts";
import { type MapContext, QdbClusterMap } from "./qdb-cluster-map.ts";

/** Maximum number of L1 areas that one round reads. Each takes the memory of some objects until the round ends. */
const ROUND_AREAS = 4096;
/** Maximum number of bytes of L1 areas that one round reads. A longer L1 area is read in a round of its own. */
const ROUND_BYTES = 16 * 1024 * 1024;
/** L1 areas of a round that are shorter than this, in bytes, are copied into one array: an array object for each would take more memory. */
const SMALL_AREA = 4096;

/** Why an L1 area could not be read: code and message of the error. */
export type ReadFailure = Pick<QdbError, "code" | "message">;

/** The result of reading an L1 area: its cluster map, the error of reading it, or "checksum" if it does not match its checksum. */
export type AreaResult = QdbClusterMap | ReadFailure | "checksum";

/** An L1 area to be read: the index of its bitmap in the list, the table entry of the bitmap, and the range of the file. */
interface Asked extends ByteRange {
  readonly at: number;
  readonly entry: BitmapEntry;
}

/**
 * Reads the L1 areas of bitmaps, up to 4096 in one round. `ranges` has their ranges of the file, in the order of `entries`. An L1 area
 * whose range has length 0, or that shares a cluster with another structure, is not read, and its result is undefined.
 */
export function* readL1Areas(
  entries: readonly BitmapEntry[],
  ranges: OwnedRanges,
  context: MapContext,
): Plan<(AreaResult | undefined)[]> {
  const results = entries.map((): AreaResult | undefined => undefined);
  let round: Asked[] = [];
  let bytes = 0;
  for (const [at, entry] of entries.entries()) {
    const length = ranges.length(at);
    if (length === 0 || ranges.isShared(at)) continue;
    if (round.length === ROUND_AREAS || (round.length > 0 && bytes + length > ROUND_BYTES)) {
      yield* readRound(round, context, results);
      round = [];
      bytes = 0;
    }
    round.push({ at, entry, offset: ranges.offset(at), length });
    bytes += length;
  }
  yield* readRound(round, context, results);
  return results;
}

function* readRound(round: readonly Asked[], context: MapContext, results: (AreaResult | undefined)[]): Plan<void> {
  const pieces = yield* readEach(round);
  const isSmall = (length: number): boolean => length < SMALL_AREA;
  const together = new Uint8Array(round.reduce((sum, { length }) => sum + (isSmall(length) ? length : 0), 0));
  const view = viewOf(together);
  let used = 0;
  for (const [order, { at, entry, length }] of round.entries()) {
    const piece = pieceAt(pieces, order);
    if (!(piece instanceof Uint8Array)) {
      const { code, message } = piece;
      results[at] = { code, message };
    } else if (piece.length !== length) {
      throw new Error(`an L1 area of ${length} bytes was answered with ${piece.length}`);
    } else if (context.form === "full" && context.crc32(piece) !== entry.decodeFields().l1Checksum) {
      results[at] = "checksum";
    } else if (isSmall(length)) {
      together.set(piece, used);
      results[at] = new QdbClusterMap(entry, view, used, context);
      used += length;
    } else {
      results[at] = new QdbClusterMap(entry, viewOf(piece), 0, context);
    }
  }
}
