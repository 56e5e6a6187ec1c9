import type { QdbError } from "../errors.ts";
import { type Plan, readEach } from "../ports/plan.ts";
import type { L1Places } from "./l1-places.ts";

/** L1 areas that one round asks for at most: as many objects a round are held beside their bytes. */
const ROUND_AREAS = 4096;
/** Bytes of L1 areas that one round asks for at most, a single longer one excepted. */
const ROUND_BYTES = 16 * 1024 * 1024;
/** Areas below this many bytes are kept together, those of a round in one array: an array each would cost more than its bytes. */
const SMALL_AREA = 4096;

/** Why an area could not be read. */
export type Unread = Pick<QdbError, "code" | "message">;

/** The L1 areas of some bitmaps as they were read; by their places in the list of bitmaps. */
export class L1Areas {
  readonly #lengths: Float64Array;
  readonly #arrays: Uint8Array[] = [];
  /** Of each bitmap: which array its area is in, counted from 1, and where. */
  readonly #array: Uint32Array;
  readonly #start: Uint32Array;
  readonly #unread = new Map<number, Unread>();

  private constructor(lengths: Float64Array) {
    this.#lengths = lengths;
    this.#array = new Uint32Array(lengths.length);
    this.#start = new Uint32Array(lengths.length);
  }

  /** Reads the areas that have their places alone: a round for each 4096 of them. */
  static *read(places: L1Places, count: number): Plan<L1Areas> {
    const areas = new L1Areas(places.lengths);
    let round: number[] = [];
    let bytes = 0;
    for (let position = 0; position < count; position++) {
      if (!places.isAlone(position)) continue;
      const length = places.lengths[position] ?? 0;
      if (round.length === ROUND_AREAS || (round.length > 0 && bytes + length > ROUND_BYTES)) {
        yield* areas.#readRound(round, places);
        round = [];
        bytes = 0;
      }
      round.push(position);
      bytes += length;
    }
    yield* areas.#readRound(round, places);
    return areas;
  }

  *#readRound(round: readonly number[], { offsets, lengths }: L1Places): Plan<void> {
    const pieces = yield* readEach(
      round.map((position) => ({ offset: offsets[position] ?? 0, length: lengths[position] ?? 0 })),
    );
    const isSmall = (piece: Uint8Array | QdbError | undefined): piece is Uint8Array =>
      piece instanceof Uint8Array && piece.length < SMALL_AREA;
    const together = new Uint8Array(pieces.reduce((sum, piece) => sum + (isSmall(piece) ? piece.length : 0), 0));
    const number = this.#arrays.push(together);
    let used = 0;
    for (const [place, position] of round.entries()) {
      const piece = pieces[place];
      if (isSmall(piece)) {
        together.set(piece, used);
        this.#array[position] = number;
        this.#start[position] = used;
        used += piece.length;
      } else if (piece instanceof Uint8Array) {
        this.#array[position] = this.#arrays.push(piece);
      } else if (piece !== undefined) {
        this.#unread.set(position, { code: piece.code, message: piece.message });
      }
    }
  }

  /** The bytes of an area; undefined where it was not read. */
  bytes(position: number): Uint8Array | undefined {
    const start = this.#start[position] ?? 0;
    return this.#arrays[(this.#array[position] ?? 0) - 1]?.subarray(start, start + (this.#lengths[position] ?? 0));
  }

  /** Why an area could not be read; undefined where it could, or was not asked for. */
  unread(position: number): Unread | undefined {
    return this.#unread.get(position);
  }
}
