import type { BitmapShape } from "../bitmap/shape.ts";
import { quote } from "../quote.ts";
import type { Grid } from "./raster.ts";
import { percent, shortSize } from "./size-text.ts";

/** A bitmap to show, with its map or with the reason why there is none. */
export interface Picture {
  /** The name. It can hold any character. */
  readonly name: string;
  readonly shape: BitmapShape;
  /** Names of the flags that are set, such as `enabled`. */
  readonly flags: readonly string[];
  /** Why the map may be outdated, on one line: the disk has changed, or cannot be examined. Undefined if there is no such reason. */
  readonly warning: string | undefined;
  /** The map, or on one line the reason why there is none. */
  readonly map: Grid | { readonly problem: string };
}

/** What a picture says of a bitmap beside its map. */
export type BitmapFacts = Pick<Picture, "name" | "shape" | "flags">;

/** Makes the picture of a bitmap. */
export function pictureOf(facts: BitmapFacts, warning: string | undefined, map: Picture["map"]): Picture {
  const shape = hasMap(map) ? map.shape : facts.shape;
  return { ...facts, shape, warning, map };
}

/** Whether a picture has a map and not a problem. */
export function hasMap(map: Picture["map"]): map is Grid {
  return !("problem" in map);
}

/** Returns name and properties of a bitmap on one line, with the name escaped: `"daily", 16 MiB, granularity 64 KiB, enabled`. */
export function factsLine({ name, shape, flags }: Picture, longestName: number = Number.POSITIVE_INFINITY): string {
  const shown = name.length > longestName ? `${name.slice(0, longestName - 1)}…` : name;
  return [quote(shown), shortSize(shape.size), `granularity ${shortSize(BigInt(shape.granularity))}`, ...flags].join(
    ", ",
  );
}

/** Returns how much of the disk is dirty: `256 KiB of 16 MiB dirty (1.56 %), a cell is 64 KiB`. */
export function dirtyLine(grid: Grid): string {
  const { size } = grid.shape;
  const share = size === 0n ? "" : ` (${percent(grid.dirtyBytes, size)})`;
  const cell = grid.count === 0 ? "" : `, a cell is ${shortSize(grid.bytesPerCell)}`;
  return `${shortSize(grid.dirtyBytes)} of ${shortSize(size)} dirty${share}${cell}`;
}
