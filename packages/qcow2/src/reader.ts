import { type ByteRange, type Plan, QdbError, read, type Where } from "@qdb/format";
import { pieceAt } from "@qdb/format/internal";

/** Bytes that one round asks for at most, a single longer range excepted. */
const ROUND_BYTES = 4 * 2 ** 20;
/** Ranges that one round asks for at most: as many objects a round are held beside their bytes. */
const ROUND_RANGES = 4096;

/** A range of the file, and what refers to it. */
export interface Reference extends ByteRange {
  /** For messages: "an L2 table". */
  readonly what: string;
  /** Where the reference stands. */
  readonly where: Where;
}

/**
 * Reads the structures of an image. Each lies inside the file, and no two of a good image overlap: so all of them together
 * have no more bytes than the file, however often a hostile one refers to the same.
 */
export class StructureReader {
  readonly #fileSize: number;
  /** Bytes that may still be read. */
  #left: number;

  /** `most` is how many bytes are read in all. */
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

  /** Reads ranges in order, in as many rounds as it takes, and shows each one's bytes once. @throws {QdbError} OVERLAP when more is read than the image can hold */
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
