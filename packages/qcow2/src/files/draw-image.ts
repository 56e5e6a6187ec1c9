import type { RunOptions } from "@qdb/format/container";
import { type BitmapFacts, Drawing, drawBits, pictureOf, type Space } from "@qdb/format/internal";
import type { Picture } from "@qdb/format/picture";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import { findQcow2Bitmap, type Qcow2File } from "./qcow2-file.ts";
import { type AllBitsOptions, visitAllBits } from "./visit-all.ts";

/** Options of drawing bitmaps. */
export interface DrawImageOptions extends RunOptions, AllBitsOptions {
  /** Returns the space for the map of a bitmap with `bitCount` bits, which is shown alone or with others. */
  readonly space: Space;
}

/** Draws one bitmap of an image, by its label. Memory does not grow with the bitmap. @throws {QdbError} as `Qcow2File.bitsReader` and `BitsReader.run` */
export async function drawQcow2Bitmap(file: Qcow2File, label: string, options: DrawImageOptions): Promise<Picture> {
  const raster = await drawBits(file.bitsReader(label), options.space, options);
  return pictureOf(factsOf(findQcow2Bitmap(file.index, label)), undefined, raster);
}

/**
 * Draws all bitmaps of an image. A bitmap that cannot be used gets the text of its problem in place of its map. The pictures are made one by
 * one at each iteration, and the result can be iterated again.
 * @throws {QdbError} IO, SHORT_READ if the image cannot be read; else as `Qcow2File.run`
 */
export async function drawQcow2Bitmaps(file: Qcow2File, options: DrawImageOptions): Promise<Iterable<Picture>> {
  const { drawing, read } = await file.run(function* (index) {
    const drawing = new Drawing(index.bitmaps, factsOf, options.space);
    return { drawing, read: yield* visitAllBits(index, (bitmap) => drawing.visitorOf(bitmap), options) };
  }, options);
  return drawing.finish((bitmap) => read.problemOf(bitmap));
}

function factsOf(bitmap: Qcow2Bitmap): BitmapFacts {
  return { name: bitmap.label, shape: bitmap.shape, flags: bitmap.flagNames };
}
