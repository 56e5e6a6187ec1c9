import {
  type BitmapEntry,
  type ExtentBatch,
  type ExtentsVisitor,
  extentsOfAll,
  type MappedBitmap,
  type Problem,
  QdbError,
  type QdbFile,
  type QdbIndex,
  type StoredBitmap,
} from "@qdb/format";
import type { Call } from "../shell/command.ts";
import { type Picture, type Pictures, pictureOf, warningOf } from "./picture.ts";
import { Raster, type RasterSpace } from "./raster.ts";
import { RasterStore } from "./raster-store.ts";

/** Returns the space for the map of a bitmap with `bits` bits, which is shown alone or with others. */
export type SpaceFor = (bits: number, isOnly: boolean) => RasterSpace;

/** Draws one bitmap. @throws {QdbError} the code of the bitmap's first problem; ABORTED */
export async function drawOne(bitmap: StoredBitmap, space: SpaceFor, call: Call): Promise<Pictures> {
  const progress = call.progress("reading");
  try {
    const raster = new Raster(bitmap, space(bitmap.entry.bitCount, true));
    const options = { signal: call.signal, onProgress: progress.onProgress };
    for await (const batch of bitmap.batches(options)) raster.add(batch);
    return Object.assign([pictureOf(bitmap.entry, warningOf(bitmap.entry), raster)], { count: 1 });
  } finally {
    progress.end();
  }
}

/** Draws all bitmaps of a file. A bitmap with an error gets a text in place of its picture. @throws {QdbError} IO, SHORT_READ, LOCKED, ABORTED */
export async function drawAll(file: QdbFile, space: SpaceFor, call: Call): Promise<Pictures> {
  const progress = call.progress("reading");
  try {
    let drawing = new Drawing(file.index, space);
    const begin = (index: QdbIndex): ExtentsVisitor => {
      drawing = new Drawing(index, space);
      return (entry, batch) => drawing.add(entry, batch);
    };
    const bitmaps = await extentsOfAll(file, begin, { signal: call.signal, onProgress: progress.onProgress });
    return drawing.finish(bitmaps);
  } finally {
    progress.end();
  }
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

  constructor({ table: { entries } }: QdbIndex, space: SpaceFor) {
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

  finish(bitmaps: readonly MappedBitmap[]): Pictures {
    this.#keep();
    for (const bitmap of bitmaps) {
      const problem = bitmap.findProblem();
      if (problem !== undefined && !isOfBitmap(problem)) throw QdbError.from(problem);
    }
    // The disks are examined once, because pictures are made several times, and a disk could change between two iterations.
    const warnings = new Map<number, string>();
    for (const { entry } of bitmaps) {
      const warning = warningOf(entry);
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
      count: bitmaps.length,
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
