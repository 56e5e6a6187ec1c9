// Draws the bits of bitmaps, whatever container they are from.
import type { BitsReader } from "./bits/bits-reader.ts";
import type { BitVisitor } from "./bits/cluster-windows.ts";
import { type BitOptions, visitBits } from "./bits/read-bits.ts";
import { type Problem, QdbError } from "./errors.ts";
import { type BitmapFacts, type Picture, pictureOf } from "./picture/picture.ts";
import { Raster, type RasterSpace } from "./picture/raster.ts";
import { RasterStore } from "./picture/raster-store.ts";
import type { RunOptions } from "./ports/drivers.ts";

/** Returns the space for the map of a bitmap with `bitCount` bits, which is shown alone or with others. */
export type Space = (bitCount: number, isOnly: boolean) => RasterSpace;

/** Draws the bits of one bitmap. Memory does not grow with the bitmap. @throws {QdbError} as `BitsReader.run` */
export function drawBits(
  bits: BitsReader,
  space: Space,
  options: RunOptions & Pick<BitOptions, "onProgress">,
): Promise<Raster> {
  return bits.run(function* (map) {
    const raster = new Raster(map.shape, space(map.bitCount, true));
    yield* visitBits(
      map,
      visitorOf(() => raster),
      options,
    );
    return raster;
  }, options);
}

/** Returns a visitor that adds the bits that it receives to a raster, which is asked for when there are stored or dirty ones. */
function visitorOf(raster: () => Raster): BitVisitor {
  return {
    pushWords: (words, base) => raster().addWords(words, base),
    pushDirty: (range) => raster().addBits(range),
    pushClean: () => undefined,
  };
}

/** A bitmap in the list of bitmaps of a file. */
export interface ListedBitmap {
  /** Where it is in the list. */
  readonly index: number;
  readonly bitCount: number;
}

/**
 * Draws the bitmaps of a file, one after the other. Only the grid of the current bitmap is held in full; finished grids are stored in
 * compact form.
 */
export class Drawing<B extends ListedBitmap> {
  readonly #bitmaps: readonly B[];
  readonly #factsOf: (bitmap: B) => BitmapFacts;
  readonly #store: RasterStore;
  readonly #space: (bitmap: B) => RasterSpace;
  #bitmap: B | undefined;
  #raster: Raster | undefined;

  /** `bitmaps` are all bitmaps of the file, in its order. `factsOf` is called anew at each use, since a file can have 65,535 bitmaps. */
  constructor(bitmaps: readonly B[], factsOf: (bitmap: B) => BitmapFacts, space: Space) {
    this.#bitmaps = bitmaps;
    this.#factsOf = factsOf;
    this.#store = new RasterStore(bitmaps.length);
    this.#space = ({ bitCount }) => space(bitCount, bitmaps.length === 1);
  }

  /** Returns the visitor that draws the bits of a bitmap. The bitmap before it is finished when the visitor receives the first bits. */
  visitorOf(bitmap: B): BitVisitor {
    return visitorOf(() => this.#rasterOf(bitmap));
  }

  /** Returns the grid of the current bitmap. The grid of the bitmap before is finished then. */
  #rasterOf(bitmap: B): Raster {
    if (this.#bitmap !== bitmap || this.#raster === undefined) {
      this.#keep();
      this.#bitmap = bitmap;
      this.#raster = new Raster(this.#factsOf(bitmap).shape, this.#space(bitmap));
    }
    return this.#raster;
  }

  /**
   * Returns the pictures, which are made one by one at each iteration. A bitmap for which `problemOf` returns a problem gets its text in
   * place of a map.
   * @throws {QdbError} IO or SHORT_READ if that is the problem of a bitmap
   */
  finish(
    problemOf: (bitmap: B) => Problem | undefined,
    warningOf: (bitmap: B) => string | undefined = () => undefined,
  ): Iterable<Picture> {
    this.#keep();
    const bitmaps = this.#bitmaps;
    for (const bitmap of bitmaps) {
      const problem = problemOf(bitmap);
      if (problem !== undefined && !isOfBitmap(problem)) throw QdbError.from(problem);
    }
    // The disks are examined once, because pictures are made several times, and a disk could change between two iterations.
    const warnings = new Map<number, string>();
    for (const bitmap of bitmaps) {
      const warning = warningOf(bitmap);
      if (warning !== undefined) warnings.set(bitmap.index, warning);
    }
    const picture = (bitmap: B): Picture => {
      const facts = this.#factsOf(bitmap);
      const problem = problemOf(bitmap);
      const warning = warnings.get(bitmap.index);
      if (problem !== undefined) return pictureOf(facts, warning, { problem: `[${problem.code}] ${problem.message}` });
      return pictureOf(facts, warning, this.#store.gridOf(bitmap.index, facts.shape, this.#space(bitmap)));
    };
    return {
      *[Symbol.iterator]() {
        for (const bitmap of bitmaps) yield picture(bitmap);
      },
    };
  }

  #keep(): void {
    if (this.#bitmap !== undefined && this.#raster !== undefined) this.#store.keep(this.#bitmap.index, this.#raster);
  }
}

/** Whether a problem concerns one bitmap only, and is not a failure to read the file. */
function isOfBitmap({ code }: Problem): boolean {
  return code !== "IO" && code !== "SHORT_READ";
}
