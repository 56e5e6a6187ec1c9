// Draws bitmaps of an open file as grids of cells.

import { type AllOptions, bitsOfAll } from "./all-bitmaps.ts";
import type { BitVisitor } from "./bits/cluster-windows.ts";
import { visitBits } from "./bits/read-bits.ts";
import { type Problem, QdbError } from "./errors.ts";
import type { MappedBitmap } from "./maps/mapped-bitmap.ts";
import type { QdbClusterMap } from "./maps/qdb-cluster-map.ts";
import { refuseMirror } from "./open/header-source.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import { type Picture, pictureOf } from "./picture/picture.ts";
import { Raster, type RasterSpace } from "./picture/raster.ts";
import { RasterStore } from "./picture/raster-store.ts";
import { svgSpace } from "./picture/svg.ts";
import type { Plan } from "./ports/plan.ts";
import { runTask } from "./ports/task.ts";
import type { QdbFile } from "./qdb-file.ts";
import { readSame } from "./read-stored.ts";
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
 * Draws one bitmap. Memory does not grow with the bitmap. Starts over if a writer commits meanwhile.
 * @throws {QdbError} the code of the first problem of the bitmap, as `StoredBitmap.count`; BAD_CHECKSUM if the header was read from the
 * mirror and `acceptMirror` is not set; ABORTED
 * @example
 * const picture = await drawBitmap(file.bitmap("daily"));
 * const svg = [...svgOf("vm.qdb", [picture])].join("");
 */
export async function drawBitmap(bitmap: StoredBitmap, options: DrawOptions = {}): Promise<Picture> {
  const { space = svgSpace, warningOf } = options;
  const { reader, entry } = bitmap;
  const plan = function* (index: QdbIndex, same: BitmapEntry): Plan<Raster> {
    refuseMirror(index, reader.options, same.label);
    const map = yield* reader.readMap(index, same);
    const raster = new Raster(map.shape, space(map.bitCount, true));
    yield* visitBits(
      map,
      visitorOf(() => raster),
      options,
    );
    return raster;
  };
  const raster = await runTask(readSame(reader, entry, plan, options));
  return pictureOf(entry, warningOf?.(entry), raster);
}

/** Returns a visitor that adds the bits that it receives to a raster, which is asked for when there are stored or dirty ones. */
function visitorOf(raster: () => Raster): BitVisitor {
  return {
    pushWords: (words, base) => raster().addWords(words, base),
    pushDirty: (range) => raster().addBits(range),
    pushClean: () => undefined,
  };
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
  const begin = (index: QdbIndex) => {
    drawing = new Drawing(index, space);
    return ({ entry }: QdbClusterMap) => visitorOf(() => drawing.rasterOf(entry));
  };
  const bitmaps = await bitsOfAll(file, begin, options);
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

  /** Returns the grid of the current bitmap. The grid of the bitmap before is finished then. */
  rasterOf(entry: BitmapEntry): Raster {
    if (this.#entry !== entry || this.#raster === undefined) {
      this.#keep();
      this.#entry = entry;
      this.#raster = new Raster(entry.decodeShape(), this.#space(entry));
    }
    return this.#raster;
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
