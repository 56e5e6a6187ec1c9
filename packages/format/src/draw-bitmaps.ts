// Draws bitmaps of an open file as grids of cells.

import { type AllOptions, extentsOfAll } from "./all-bitmaps.ts";
import type { ExtentBatch } from "./bitmap/runs.ts";
import { bitsOfShape } from "./bitmap/shape.ts";
import { type Problem, QdbError } from "./errors.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import { type Picture, pictureOf } from "./picture/picture.ts";
import { Raster, type RasterSpace } from "./picture/raster.ts";
import { RasterStore } from "./picture/raster-store.ts";
import { svgSpace } from "./picture/svg.ts";
import type { QdbFile } from "./qdb-file.ts";
import type { ExtentsVisitor } from "./read-all.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { StoredBitmap } from "./stored-bitmap.ts";

/** Options of drawing bitmaps. */
export interface DrawOptions extends AllOptions {
  /** Returns the space for the map of a bitmap with `bitCount` bits, which is shown alone or with others. Default: `svgSpace`. */
  readonly space?: (bitCount: number, isOnly: boolean) => RasterSpace;
  /** Returns why the map of a bitmap may be outdated, on one line; undefined if it is not. Called after all bits were read. */
  readonly warningOf?: (entry: BitmapEntry) => string | undefined;
}

/**
 * Draws one bitmap. Memory does not grow with the bitmap.
 * @throws {QdbError} the code of the first problem of the bitmap, as `StoredBitmap.batches`; ABORTED
 * @example
 * const picture = await drawBitmap(file.bitmap("daily"));
 * const svg = [...svgOf("vm.qdb", [picture])].join("");
 */
export async function drawBitmap(bitmap: StoredBitmap, options: DrawOptions = {}): Promise<Picture> {
  const { space = svgSpace, warningOf } = options;
  const { entry } = bitmap;
  let raster: Raster | undefined;
  for await (const batch of bitmap.batches(options)) {
    // A writer may have changed the shape since the handle was made; the extents are those of the new shape.
    raster ??= new Raster(batch.shape, space(bitsOfShape(batch.shape), true));
    raster.add(batch);
  }
  raster ??= new Raster(entry.decodeShape(), space(entry.bitCount, true));
  return pictureOf(entry, warningOf?.(entry), raster);
}

/**
 * Draws all bitmaps of a file. A bitmap with an error gets the text of the error in place of its map. The pictures are made one by one at
 * each iteration, so that memory stays within four times the bytes that were read, and the result can be iterated again.
 * @throws {QdbError} IO, SHORT_READ if the file cannot be read; ABORTED; as `extentsOfAll`
 * @example
 * const svg = [...svgOf("vm.qdb", await drawAllBitmaps(file))].join("");
 */
export async function drawAllBitmaps(file: QdbFile, options: DrawOptions = {}): Promise<Iterable<Picture>> {
  const { space = svgSpace, warningOf } = options;
  let drawing = new Drawing(file.index, space);
  const begin = (index: QdbIndex): ExtentsVisitor => {
    drawing = new Drawing(index, space);
    return (entry, batch) => drawing.add(entry, batch);
  };
  const bitmaps = await extentsOfAll(file, begin, options);
  return drawing.finish(bitmaps, warningOf);
}

/**
 * Draws the bitmaps of a file, one after the other. Only the grid of the current bitmap is held in full; finished grids are stored in
 * compact form.
 */
class Drawing {
  readonly #store: RasterStore;
  readonly #space: (entry: BitmapEntry) => RasterSpace;
  #entry: BitmapEntry | undefined;
  #raster: Raster | undefined;

  constructor({ table: { entries } }: QdbIndex, space: NonNullable<DrawOptions["space"]>) {
    this.#store = new RasterStore(entries.length);
    this.#space = ({ bitCount }) => space(bitCount, entries.length === 1);
  }

  add(entry: BitmapEntry, batch: ExtentBatch): void {
    if (this.#entry !== entry || this.#raster === undefined) {
      this.#keep();
      this.#entry = entry;
      this.#raster = new Raster(batch.shape, this.#space(entry));
    }
    this.#raster.add(batch);
  }

  finish(bitmaps: readonly MappedBitmap[], warningOf: DrawOptions["warningOf"]): Iterable<Picture> {
    this.#keep();
    for (const bitmap of bitmaps) {
      const problem = bitmap.findProblem();
      if (problem !== undefined && !isOfBitmap(problem)) throw QdbError.from(problem);
    }
    // The disks are examined once, because pictures are made several times, and a disk could change between two iterations.
    const warnings = new Map<number, string>();
    for (const { entry } of bitmaps) {
      const warning = warningOf?.(entry);
      if (warning !== undefined) warnings.set(entry.index, warning);
    }
    const picture = (bitmap: MappedBitmap): Picture => {
      const { entry } = bitmap;
      const problem = bitmap.findProblem();
      const warning = warnings.get(entry.index);
      if (problem !== undefined) return pictureOf(entry, warning, { problem: `[${problem.code}] ${problem.message}` });
      return pictureOf(entry, warning, this.#store.gridOf(entry.index, entry.decodeShape(), this.#space(entry)));
    };
    return {
      *[Symbol.iterator]() {
        for (const bitmap of bitmaps) yield picture(bitmap);
      },
    };
  }

  #keep(): void {
    if (this.#entry !== undefined && this.#raster !== undefined) this.#store.keep(this.#entry.index, this.#raster);
  }
}

/** Whether a problem concerns one bitmap only, and is not a failure to read the file. */
function isOfBitmap({ code }: Problem): boolean {
  return code !== "IO" && code !== "SHORT_READ";
}
