import { type BitmapEntry, type BitmapShape, flagNames, quote } from "@qdb/format";
import { changeText, diskInfo } from "../info/disk-info.ts";
import { percent, shortSize } from "../shell/size.ts";
import type { Grid } from "./raster.ts";

/** A bitmap to show, with its map or with the reason why there is none. */
export interface Picture {
  readonly name: string;
  readonly shape: BitmapShape;
  readonly flags: readonly string[];
  /** Why the map may be outdated: the disk has changed, or cannot be examined. Undefined if there is no such reason. */
  readonly warning: string | undefined;
  readonly map: Grid | { readonly problem: string };
}

/** The pictures of a file. They are made one by one at each iteration. */
export interface Pictures extends Iterable<Picture> {
  readonly count: number;
}

/** Makes the picture of a bitmap from its entry and its map. */
export function pictureOf(entry: BitmapEntry, warning: string | undefined, map: Picture["map"]): Picture {
  const { size, granularity, flags } = entry.decodeFields();
  return { name: entry.label, shape: { size, granularity }, flags: flagNames(flags), warning, map };
}

/** Returns why the map of a bitmap may be outdated. It examines the disk, so call it after the bits were read. */
export function warningOf(entry: BitmapEntry): string | undefined {
  const disk = diskInfo(entry);
  const isDoubtful = disk.disk_state === "changed" || disk.disk_state === "unreadable";
  return isDoubtful ? `changed since: ${changeText(disk)}` : undefined;
}

/** Whether a picture has a map and not a problem. */
export function hasMap(map: Picture["map"]): map is Grid {
  return !("problem" in map);
}

/** Returns name and properties of a bitmap on one line, escaped for terminals: `"daily", 16 MiB, granularity 64 KiB, enabled`. */
export function factsLine({ name, shape, flags }: Picture, longestName = Number.POSITIVE_INFINITY): string {
  const shown = name.length > longestName ? `${name.slice(0, longestName - 1)}…` : name;
  return [quote(shown), shortSize(shape.size), `granularity ${shortSize(BigInt(shape.granularity))}`, ...flags].join(
    ", ",
  );
}

/** Returns how much of the disk is dirty: `256 KiB of 16 MiB dirty (1.56 %), a cell is 64 KiB`. */
export function dirtyLine(raster: Grid): string {
  const { size } = raster.shape;
  const share = size === 0n ? "" : ` (${percent(raster.dirtyBytes, size)})`;
  const cell = raster.count === 0 ? "" : `, a cell is ${shortSize(raster.bytesPerCell)}`;
  return `${shortSize(raster.dirtyBytes)} of ${shortSize(size)} dirty${share}${cell}`;
}
