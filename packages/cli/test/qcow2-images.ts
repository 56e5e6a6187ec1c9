// Images for the tests of the commands that read them.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeSmallImage, Patchable } from "../../qcow2/test/small-image.ts";

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

/** A qcow2 image in the folder that is broken in several places: `fine` has a data cluster that belongs to `coarse` too, and `idle` is in use. */
export function brokenImage(directory: string, name = "broken.qcow2"): string {
  return smallImage(directory, name, (image) =>
    image.tableEntry("fine", 1, image.readTableEntry("coarse", 0)).entry("idle", { flags: 1 }),
  );
}

/** The image in the folder, as bytes. */
export function bytesOf(path: string): Uint8Array {
  return new Uint8Array(readFileSync(path));
}
