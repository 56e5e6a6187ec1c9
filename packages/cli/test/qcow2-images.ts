// Images for the tests of the commands that read them.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeSmallImage, Patchable } from "../../qcow2/test/small-image.ts";
import type { NbdExtent } from "./peers.ts";

/** Writes the image of the bitmaps `fine`, `coarse` and `idle`, as `change` leaves it, and gives its path. */
export function smallImage(
  directory: string,
  name: string,
  change: (image: Patchable) => unknown = () => undefined,
): string {
  const path = join(directory, name);
  const image = new Patchable(makeSmallImage(directory));
  change(image);
  writeFileSync(path, image.bytes);
  return path;
}

/** The bits of extents, as plain bytes: least significant bit first. */
export function bitsOf(extents: readonly NbdExtent[], size: number, granularity: number): Buffer {
  const bits = Buffer.alloc(Math.ceil(Math.ceil(size / granularity) / 8));
  for (const { offset, length, type } of extents) {
    if (type !== 1) continue;
    for (let bit = offset / granularity; bit * granularity < offset + length; bit++)
      bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return bits;
}
