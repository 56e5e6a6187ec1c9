// The entry point `@qdb/format/picture`: maps of bitmaps as grids of cells, and as SVG. It has an entry point of its own, so that it is
// no part of a program that draws nothing.

export { type DrawOptions, drawAllBitmaps, drawBitmap } from "./draw-bitmaps.ts";
export { dirtyLine, factsLine, hasMap, type Picture } from "./picture/picture.ts";
export { Grid, LEVELS, type Level, Raster, type RasterSpace } from "./picture/raster.ts";
export { svgOf, svgSpace } from "./picture/svg.ts";
