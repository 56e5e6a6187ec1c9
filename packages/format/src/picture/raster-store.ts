import type { BitmapShape } from "../bitmap/shape.ts";
import { byteAt, itemAt, numberAt, wordAt } from "../elements.ts";
import { Grid, LEVELS, type Level, type Raster, type RasterSpace } from "./raster.ts";

/** Size of each array that holds stored grids, in bytes. */
const PIECE_BYTES = 256 * 1024;
/** Maximum length of a run that is stored in one byte together with its level. */
const SHORT_RUN = 31;
/**
 * How the grid of a bitmap is stored. CLEAN: not at all. RUNS: as runs of levels. BITS: as one bit for each cell. LAST_IS_DIRTY is added if
 * the last bit of the bitmap is dirty.
 */
const CLEAN = 0;
const RUNS = 1;
const BITS = 2;
const LAST_IS_DIRTY = 4;

/**
 * Stores the grids of the bitmaps of a file in compact form, by the index of the bitmap: as runs of levels, or as one bit for each cell if
 * a cell is one granule and the bits take less space. A grid takes at most four times the bytes that were read for it.
 */
export class RasterStore {
  readonly #kinds: Uint8Array;
  readonly #dirty: Float64Array;
  /** For each bitmap, the index of the array with its grid, and the offset of the grid in that array. */
  readonly #piece: Uint32Array;
  readonly #start: Uint32Array;
  readonly #pieces: Uint8Array[] = [];
  #used = PIECE_BYTES;

  constructor(bitmaps: number) {
    this.#kinds = new Uint8Array(bitmaps);
    this.#dirty = new Float64Array(bitmaps);
    this.#piece = new Uint32Array(bitmaps);
    this.#start = new Uint32Array(bitmaps);
  }

  /** Stores the grid of the bitmap with index `position`. */
  keep(position: number, raster: Raster): void {
    const { bits, last } = raster.dirty;
    const runs = runsOf(raster);
    const isShort = raster.bitsPerCell > 1 || runs.length <= raster.count / 8;
    const bytes = isShort ? runs : bitsOf(raster);
    if (this.#used + bytes.length > PIECE_BYTES) {
      this.#pieces.push(new Uint8Array(PIECE_BYTES));
      this.#used = 0;
    }
    itemAt(this.#pieces, this.#pieces.length - 1).set(bytes, this.#used);
    this.#kinds[position] = (isShort ? RUNS : BITS) + (last ? LAST_IS_DIRTY : 0);
    this.#dirty[position] = bits;
    this.#piece[position] = this.#pieces.length - 1;
    this.#start[position] = this.#used;
    this.#used += bytes.length;
  }

  /**
   * Returns the grid of the bitmap with index `position`. Shape and space must be the same as when the grid was drawn. If no grid was
   * stored, all cells are clean.
   */
  gridOf(position: number, shape: BitmapShape, space: RasterSpace): Grid {
    const kind = byteAt(this.#kinds, position);
    const dirty = { bits: numberAt(this.#dirty, position), last: (kind & LAST_IS_DIRTY) !== 0 };
    const grid = new KeptGrid(shape, space, dirty);
    if (kind === CLEAN) return grid;
    const piece = itemAt(this.#pieces, wordAt(this.#piece, position));
    const bytes = piece.subarray(wordAt(this.#start, position));
    if ((kind & BITS) !== 0) {
      for (let cell = 0; cell < grid.count; cell++)
        if ((byteAt(bytes, cell >> 3) >> (cell % 8)) % 2 === 1) grid.levels[cell] = 4;
      return grid;
    }
    let at = 0;
    for (let cell = 0; cell < grid.count; ) {
      const head = byteAt(bytes, at++);
      let length = head >> 3;
      if (length === 0) {
        length = byteAt(bytes, at) * 256 + byteAt(bytes, at + 1);
        at += 2;
      }
      grid.levels.fill(head & 7, cell, cell + length);
      cell += length;
    }
    return grid;
  }
}

/**
 * Encodes the levels of the cells as runs. The first byte of a run has the level in bits 0-2 and the length in bits 3-7. If the length is
 * above 31, these bits are 0, and two bytes with the length follow.
 */
function runsOf(raster: Raster): Uint8Array {
  const bytes: number[] = [];
  for (let cell = 0; cell < raster.count; ) {
    const level = raster.level(cell);
    let end = cell + 1;
    while (end < raster.count && raster.level(end) === level) end++;
    const length = end - cell;
    if (length <= SHORT_RUN) bytes.push(level + length * 8);
    else bytes.push(level, length >> 8, length & 255);
    cell = end;
  }
  return Uint8Array.from(bytes);
}

function bitsOf(raster: Raster): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(raster.count / 8));
  for (let cell = 0; cell < raster.count; cell++)
    if (raster.level(cell) !== 0) bytes[cell >> 3] = byteAt(bytes, cell >> 3) | (1 << (cell % 8));
  return bytes;
}

class KeptGrid extends Grid {
  readonly levels: Uint8Array;
  override readonly dirty: { readonly bits: number; readonly last: boolean };

  constructor(shape: BitmapShape, space: RasterSpace, dirty: { readonly bits: number; readonly last: boolean }) {
    super(shape, space);
    this.levels = new Uint8Array(this.count);
    this.dirty = dirty;
  }

  override level(cell: number): Level {
    return itemAt(LEVELS, byteAt(this.levels, cell));
  }
}
