import { type BitmapShape, bitsOfShape, type ExtentBatch } from "@qdb/format";
import { dirtyBytes, numberAt, wordAt } from "@qdb/format/internal";

/** How dirty a cell is: 0 for none of its granules, 1 for up to a third, 2 for up to two thirds, 3 for more, 4 for all. */
export type Level = 0 | 1 | 2 | 3 | 4;

/** All levels in ascending order. */
export const LEVELS: readonly Level[] = [0, 1, 2, 3, 4];

/** The space for a picture, in cells. */
export interface RasterSpace {
  readonly columns: number;
  readonly rows: number;
}

/**
 * A bitmap as a grid of cells, row by row. A cell covers a power of two of granules, the smallest one with which all cells fit into
 * the space. So counts are exact and cell sizes are round numbers. Only the last cell can be smaller.
 */
export abstract class Grid {
  readonly shape: BitmapShape;
  /** Number of bits of the bitmap. */
  readonly bits: number;
  readonly columns: number;
  /** Number of bits of a cell, a power of two. */
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

  /** The level of a cell: 0 only when no bit is dirty, 4 only when all are. */
  abstract level(cell: number): Level;

  /** Number of dirty bits, and whether the last bit is one of them. */
  abstract get dirty(): { readonly bits: number; readonly last: boolean };

  /** Number of rows. */
  get rows(): number {
    return Math.ceil(this.count / this.columns);
  }

  /** Bytes of the disk that a cell covers. */
  get bytesPerCell(): bigint {
    return BigInt(this.bitsPerCell) * BigInt(this.shape.granularity);
  }

  /** Offset on the disk where a row begins, in bytes. */
  rowOffset(row: number): bigint {
    return BigInt(row * this.columns) * this.bytesPerCell;
  }

  /** The levels of a row's cells. */
  rowLevels(row: number): Level[] {
    const start = row * this.columns;
    const length = Math.min(this.columns, this.count - start);
    return Array.from({ length }, (_, index) => this.level(start + index));
  }

  /** Number of dirty bytes of the disk; the last granule is clipped to its size. */
  get dirtyBytes(): bigint {
    const { bits, last } = this.dirty;
    return dirtyBytes(bits, this.shape, { last });
  }
}

/** A grid that counts the dirty bits of its cells. */
export class Raster extends Grid {
  /** Dirty bits of each cell. */
  readonly #dirty: Float64Array;
  #lastIsDirty = false;

  constructor(shape: BitmapShape, space: RasterSpace) {
    super(shape, space);
    this.#dirty = new Float64Array(this.count);
  }

  /** Adds dirty extents. Each bit must be added only once. */
  add({ runs }: ExtentBatch): void {
    for (let index = 0; index < runs.length; index += 2) this.#addRun(wordAt(runs, index), wordAt(runs, index + 1) + 1);
  }

  #addRun(first: number, end: number): void {
    if (end === this.bits) this.#lastIsDirty = true;
    for (let bit = first; bit < end; ) {
      const cell = Math.floor(bit / this.bitsPerCell);
      const stop = Math.min(end, (cell + 1) * this.bitsPerCell);
      this.#dirty[cell] = numberAt(this.#dirty, cell) + stop - bit;
      bit = stop;
    }
  }

  /** Dirty bits of a cell. */
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
