import { type ByteRange, QdbError, type Where } from "@qdb/format";
import { type Plan, read } from "@qdb/format/container";
import { pieceAt } from "@qdb/format/internal";

/** Maximum number of bytes that one round reads. A single range that is longer gets a round of its own. */
const ROUND_BYTES = 4 * 2 ** 20;
/** Maximum number of ranges in one round: each takes memory for an object besides its bytes. */
const ROUND_RANGES = 4096;

/** A range of the file, with the place of the reference to it. */
export interface Reference extends ByteRange {
  /** Name of the structure for messages, such as "an L2 table". */
  readonly what: string;
  /** Where the reference is in the image, for errors. */
  readonly where: Where;
}

/**
 * Reads the structures of an image, up to a limit for all of them together. The structures of a valid image lie inside the file and do not
 * overlap, so together they are no longer than the file. A hostile image can refer to the same bytes many times, and would be read without
 * end.
 */
export class StructureReader {
  readonly #fileSize: number;
  /** Number of bytes that may still be read. */
  #left: number;

  /** `limit` is the maximum number of bytes that may be read in total. */
  constructor(fileSize: number, limit: number) {
    this.#fileSize = fileSize;
    this.#left = limit;
  }

  /** Whether a range lies inside the file. */
  isInside({ offset, length }: ByteRange): boolean {
    return offset + length <= this.#fileSize;
  }

  /** Refuses a reference to a range that runs past the end of the file. @throws {QdbError} OUT_OF_BOUNDS */
  requireInside(reference: Reference): void {
    if (this.isInside(reference)) return;
    const { offset, length, what, where } = reference;
    throw new QdbError(
      "OUT_OF_BOUNDS",
      `${what} of ${length} bytes at ${offset} runs past the end of the file at ${this.#fileSize}, so it cannot be seen which clusters are in use`,
      where,
    );
  }

  /**
   * Reads ranges in order, in as many rounds as needed, and passes the bytes of each range to `visit`. Empty ranges are left out.
   * @throws {QdbError} OVERLAP if more bytes than the limit are read in total
   */
  *readEach(ranges: Iterable<ByteRange>, visit: (bytes: Uint8Array, range: ByteRange) => void): Plan<void> {
    let round: ByteRange[] = [];
    let bytes = 0;
    for (const range of ranges) {
      if (round.length === ROUND_RANGES || (round.length > 0 && bytes + range.length > ROUND_BYTES)) {
        yield* this.#readRound(round, visit);
        round = [];
        bytes = 0;
      }
      if (range.length === 0) continue;
      round.push(range);
      bytes += range.length;
    }
    yield* this.#readRound(round, visit);
  }

  /**
   * Reads a long range in pieces of at most 1 MiB, and passes each to `visit`.
   * @throws {QdbError} OUT_OF_BOUNDS if the range runs past the end of the file; OVERLAP if more bytes than the limit are read in total
   */
  *readPieces(reference: Reference, visit: (bytes: Uint8Array, piece: ByteRange) => void): Plan<void> {
    if (reference.length === 0) return;
    this.requireInside(reference);
    yield* this.readEach(piecesOf(reference), visit);
  }

  *#readRound(round: readonly ByteRange[], visit: (bytes: Uint8Array, range: ByteRange) => void): Plan<void> {
    for (const { length } of round) this.#left -= length;
    if (this.#left < 0) {
      throw new QdbError(
        "OVERLAP",
        `the structures of the image have more bytes together than the file of ${this.#fileSize}: they overlap`,
      );
    }
    const pieces = yield* read(round);
    for (const [place, range] of round.entries()) visit(pieceAt(pieces, place), range);
  }
}

const PIECE = 2 ** 20;

function* piecesOf({ offset, length }: ByteRange): Generator<ByteRange, void> {
  for (let done = 0; done < length; done += PIECE) {
    yield { offset: offset + done, length: Math.min(PIECE, length - done) };
  }
}
