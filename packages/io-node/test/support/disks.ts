import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { pattern } from "./images.ts";
import { temporaryDirectory } from "./temp.ts";

/** Writes two images beside each other, for one test. */
export function twoImages(base: Uint8Array, current: Uint8Array): { readonly base: string; readonly current: string } {
  const directory = temporaryDirectory();
  return writeImages(directory, base, current);
}

/** The same in a directory that is there. */
export function writeImages(directory: string, base: Uint8Array, current: Uint8Array) {
  const paths = { base: join(directory, "base.raw"), current: join(directory, "current.raw") };
  writeFileSync(paths.base, base);
  writeFileSync(paths.current, current);
  // What was just written is waited for.
  for (const path of [paths.base, paths.current]) utimesSync(path, 1000, 1000);
  return paths;
}

/** A disk and what became of it: bytes changed here and there, longer or shorter. Sizes rarely end at a granule's end. */
export function twoDisks(largest: number): fc.Arbitrary<{ base: Uint8Array; current: Uint8Array }> {
  const size = fc.oneof(
    fc.nat(largest),
    fc.nat(Math.floor(largest / 512)).map((count) => count * 512),
  );
  const changes = fc.array(fc.record({ at: fc.nat(largest), length: fc.integer({ min: 1, max: 1500 }) }), {
    maxLength: 8,
  });
  return fc.record({ base: size, current: fc.option(size), changes }).map((disk) => {
    const base = pattern(disk.base);
    const current = new Uint8Array(disk.current ?? disk.base);
    current.set(base.subarray(0, current.length));
    for (const { at, length } of disk.changes) current.fill(0, at, at + length);
    return { base, current };
  });
}
