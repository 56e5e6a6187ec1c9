// Draws bitmaps of an open file as grids of cells.
import { type AllOptions, bitsOfAll } from "./all-bitmaps.ts";
import { Drawing, drawBits, type Space } from "./drawing.ts";
import { itemAt } from "./elements.ts";
import type { QdbClusterMap } from "./maps/qdb-cluster-map.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import { type BitmapFacts, type Picture, pictureOf } from "./picture/picture.ts";
import { svgSpace } from "./picture/svg.ts";
import type { QdbFile } from "./qdb-file.ts";
import { type BitmapEntry, flagNames } from "./records/bitmap-entry.ts";
import type { StoredBitmap } from "./stored-bitmap.ts";
import { bitsReaderOf } from "./stored-bits-reader.ts";

/** Options of drawing bitmaps. */
export interface DrawOptions extends AllOptions {
  /** Returns the space for the map of a bitmap with `bitCount` bits, which is shown alone or with others. Default: `svgSpace`. */
  readonly space?: Space;
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
  const { entry } = bitmap;
  const raster = await drawBits(bitsReaderOf(bitmap), space, options);
  return pictureOf(factsOf(entry), warningOf?.(entry), raster);
}

function factsOf(entry: BitmapEntry): BitmapFacts {
  const { size, granularity, flags } = entry.decodeFields();
  return { name: entry.label, shape: { size, granularity }, flags: flagNames(flags) };
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
  let drawing = new Drawing(file.index.table.entries, factsOf, space);
  const begin = ({ table }: QdbIndex) => {
    drawing = new Drawing(table.entries, factsOf, space);
    return ({ entry }: QdbClusterMap) => drawing.visitorOf(entry);
  };
  const bitmaps = await bitsOfAll(file, begin, options);
  // The bitmaps are in the order of the table.
  return drawing.finish(({ index }) => itemAt(bitmaps, index).findProblem(), warningOf);
}
