import {
  type BitmapEntry,
  type ExtentBatch,
  type ExtentsVisitor,
  type MappedBitmap,
  type Problem,
  QdbError,
  type QdbFile,
  type QdbIndex,
  type StoredBitmap,
} from "@qdb/format";
import type { Call } from "../shell/command.ts";
import { doubtOf, type Picture, type Pictures, pictureOf } from "./picture.ts";
import { Raster, type RasterSpace } from "./raster.ts";
import { RasterStore } from "./raster-store.ts";

/** Cells that the map of a bitmap of so many bits has room for, be it the only one that is shown or one of several. */
export type SpaceFor = (bits: number, isOnly: boolean) => RasterSpace;

/** The picture of the bitmap that was asked for. @throws {QdbError} its problem */
export async function drawOne(bitmap: StoredBitmap, space: SpaceFor, call: Call): Promise<Pictures> {
  const progress = call.progress("reading");
  try {
    const raster = new Raster(bitmap.shape, space(bitmap.entry.bitCount, true));
    const options = { signal: call.signal, onProgress: progress.onProgress };
    for await (const batch of bitmap.extents(options)) raster.add(batch);
    return Object.assign([pictureOf(bitmap.entry, doubtOf(bitmap.entry), raster)], { count: 1 });
  } finally {
    progress.end();
  }
}

/** The pictures of all bitmaps of a file. That one is in error is a fact. @throws {QdbError} IO, SHORT_READ, LOCKED, ABORTED */
export async function drawAll(file: QdbFile, space: SpaceFor, call: Call): Promise<Pictures> {
  const progress = call.progress("reading");
  try {
    let drawing = new Drawing(file.index, space);
    const begin = (index: QdbIndex): ExtentsVisitor => {
      drawing = new Drawing(index, space);
      return (entry, batch) => drawing.add(entry, batch);
    };
    const bitmaps = await file.extentsOfAll(begin, { signal: call.signal, onProgress: progress.onProgress });
    return drawing.finish(bitmaps);
  } finally {
    progress.end();
  }
}

/** The pictures of a file while they are drawn: one grid, and the others kept small. */
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
    // Once, since pictures are made several times: a disk can change meanwhile.
    const doubts = new Map<number, string>();
    for (const { entry } of bitmaps) {
      const doubt = doubtOf(entry);
      if (doubt !== undefined) doubts.set(entry.index, doubt);
    }
    const picture = (bitmap: MappedBitmap): Picture => {
      const { entry } = bitmap;
      const problem = bitmap.findProblem();
      const doubt = doubts.get(entry.index);
      if (problem !== undefined) return pictureOf(entry, doubt, { problem: `[${problem.code}] ${problem.message}` });
      const { size, granularity } = entry.decodeFields();
      return pictureOf(entry, doubt, this.#store.gridOf(entry.index, { size, granularity }, this.#space(entry)));
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

/** Whether a problem says something of one bitmap, and not of reading the file. */
function isOfBitmap({ code }: Problem): boolean {
  return code !== "IO" && code !== "SHORT_READ";
}
