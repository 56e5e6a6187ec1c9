import { countWords, hasBit } from "../bitmap/bit-bytes.ts";
import type { ExtentBatch } from "../bitmap/runs.ts";
import { type BitmapShape, type BitRange, bitsOfShape, dirtyBytes } from "../bitmap/shape.ts";
import { numberAt, wordAt } from "../elements.ts";

/** How much of a cell is dirty: 0 for nothing, 1 for up to a third of its granules, 2 for up to two thirds, 3 for more, 4 for all. */
export type Level = 0 | 1 | 2 | 3 | 4;

/** All levels in ascending order. */
export const LEVELS: readonly Level[] = [0, 1, 2, 3, 4];

/** The space for a map, in cells. */
export interface RasterSpace {
  readonly columns: number;
  readonly rows: number;
}

/**
 * A bitmap as a grid of cells, row by row. All cells cover the same number of granules, the smallest power of two with which the grid fits
 * into the space; only the last cell can cover fewer. So counts are exact and cell sizes are round numbers.
 */
export abstract class Grid {
  readonly shape: BitmapShape;
  /** Number of bits of the bitmap. */
  readonly bits: number;
  readonly columns: number;
  /** Number of bits that a cell covers, a power of two. */
  readonly bitsPerCell: number;
  /** Number of cells: ceil(bits / bitsPerCell). */
  readonly count: number;

  constructor(shape: BitmapShape, space: RasterSpace) {
    this.shape = shape;
    this.bits = bitsOfShape(shape);
    this.columns = space.columns;
    let bitsPerCell = 1;
    while (Math.ceil(this.bits / bitsPerCell) > space.columns * space.rows) bitsPerCell *= 2;
    this.bitsPerCell = bitsPerCell;
    this.count = Math.ceil(this.bits / bitsPerCell);
  }

  /** Returns the level of a cell: 0 only if no bit is dirty, 4 only if all bits are. */
  abstract level(cell: number): Level;

  /** Number of dirty bits (`bits`), and whether the last bit of the bitmap is dirty (`last`). */
  abstract get dirty(): { readonly bits: number; readonly last: boolean };

  /** Number of rows. */
  get rows(): number {
    return Math.ceil(this.count / this.columns);
  }

  /** Number of bytes of the disk that a cell covers. */
  get bytesPerCell(): bigint {
    return BigInt(this.bitsPerCell) * BigInt(this.shape.granularity);
  }

  /** Returns the offset on the disk where a row begins, in bytes. */
  rowOffset(row: number): bigint {
    return BigInt(row * this.columns) * this.bytesPerCell;
  }

  /** Returns the levels of the cells of a row. */
  rowLevels(row: number): Level[] {
    const start = row * this.columns;
    const length = Math.min(this.columns, this.count - start);
    return Array.from({ length }, (_, index) => this.level(start + index));
  }

  /** Number of dirty bytes of the disk. If the last granule reaches past the end of the disk, only its bytes on the disk count. */
  get dirtyBytes(): bigint {
    const { bits, last } = this.dirty;
    return dirtyBytes(bits, this.shape, { last });
  }
}

/** A grid that is filled by counting the dirty bits of each cell. */
export class Raster extends Grid {
  /** Number of dirty bits of each cell. */
  readonly #dirty: Float64Array;
  #lastIsDirty = false;

  constructor(shape: BitmapShape, space: RasterSpace) {
    super(shape, space);
    this.#dirty = new Float64Array(this.count);
  }

  /** Adds dirty extents to the counts. Each bit may be added only once. */
  add({ runs }: ExtentBatch): void {
    for (let index = 0; index < runs.length; index += 2)
      this.addBits({ first: wordAt(runs, index), end: wordAt(runs, index + 1) + 1 });
  }

  /** Adds the dirty bits of words, as {@link add} does. `base`, a multiple of 32, is the index of the first bit of the first word. */
  addWords(words: Uint32Array, base: number): void {
    if (hasBit(words, this.bits - 1 - base)) this.#lastIsDirty = true;
    if (this.bitsPerCell < 32) {
      for (const [index, word] of words.entries())
        for (let rest = word; rest !== 0; rest &= rest - 1)
          this.#addTo(base + index * 32 + 31 - Math.clz32(rest & -rest), 1);
      return;
    }
    // Words can follow the last bit of the bitmap.
    const end = Math.min(this.bits, base + words.length * 32);
    for (let bit = base; bit < end; ) {
      const stop = Math.min(end, bit - (bit % this.bitsPerCell) + this.bitsPerCell);
      this.#addTo(bit, countWords(words.subarray((bit - base) / 32, Math.ceil((stop - base) / 32))));
      bit = stop;
    }
  }

  /** Adds bits that are all dirty, as {@link add} does. */
  addBits({ first, end }: BitRange): void {
    if (end === this.bits) this.#lastIsDirty = true;
    for (let bit = first; bit < end; ) {
      const stop = Math.min(end, bit - (bit % this.bitsPerCell) + this.bitsPerCell);
      this.#addTo(bit, stop - bit);
      bit = stop;
    }
  }

  /** Adds to the count of the cell in which a bit is. */
  #addTo(bit: number, count: number): void {
    const cell = Math.floor(bit / this.bitsPerCell);
    this.#dirty[cell] = numberAt(this.#dirty, cell) + count;
  }

  /** Returns the number of dirty bits of a cell. */
  dirtyBits(cell: number): number {
    return numberAt(this.#dirty, cell);
  }

  override level(cell: number): Level {
    const dirty = this.dirtyBits(cell);
    const all = Math.min(this.bitsPerCell, this.bits - cell * this.bitsPerCell);
    if (dirty === 0) return 0;
    if (dirty === all) return 4;
    if (dirty * 3 <= all) return 1;
    return dirty * 3 <= all * 2 ? 2 : 3;
  }

  override get dirty(): { readonly bits: number; readonly last: boolean } {
    let bits = 0;
    for (const dirty of this.#dirty) bits += dirty;
    return { bits, last: this.#lastIsDirty };
  }
}
