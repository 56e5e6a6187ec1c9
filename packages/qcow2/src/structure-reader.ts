import { type ByteRange, type Plan, QdbError, read, type Where } from "@qdb/format";
import { pieceAt } from "@qdb/format/internal";

/** Most bytes that one round asks for, except where a single range is longer. */
const ROUND_BYTES = 4 * 2 ** 20;
/** Most ranges that one round asks for: each costs an object in memory besides its bytes. */
const ROUND_RANGES = 4096;

/** A range of the file, and where the reference to it stands. */
export interface Reference extends ByteRange {
  /** For messages: "an L2 table". */
  readonly what: string;
  /** Place of the reference, for errors. */
  readonly where: Where;
}

/**
 * Reads the structures of an image, and limits the total. Structures of a valid image lie inside the file and do not overlap, so
 * all of them together are no larger than the file. A hostile image can refer to the same bytes many times.
 */
export class StructureReader {
  readonly #fileSize: number;
  /** Bytes that may still be read. */
  #left: number;

  /** `most` is the largest number of bytes that may be read in total. */
  constructor(fileSize: number, most: number) {
    this.#fileSize = fileSize;
    this.#left = most;
  }

  /** Whether a range lies inside the file. */
  isInside({ offset, length }: ByteRange): boolean {
    return offset + length <= this.#fileSize;
  }

  /** @throws {QdbError} OUT_OF_BOUNDS */
  requireInside(reference: Reference): void {
    if (this.isInside(reference)) return;
    const { offset, length, what, where } = reference;
    throw new QdbError(
      "OUT_OF_BOUNDS",
      `${what} of ${length} bytes at ${offset} runs past the end of the file at ${this.#fileSize}, so it cannot be seen which clusters are in use`,
      where,
    );
  }

  /** Reads ranges in order, in as many rounds as needed, and passes the bytes of each to `visit`. @throws {QdbError} OVERLAP when the total exceeds its limit */
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

  /** Reads a long range in pieces of at most 1 MiB. @throws {QdbError} OUT_OF_BOUNDS, OVERLAP */
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
