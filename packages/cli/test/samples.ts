// Files for the tests of the command, made by hand from the tables of the spec, and what tests say about directories and output.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bits, file, type HandBitmap, type HandFile } from "../../format/test/hand.ts";

/** A disk of 2,500,000 bytes at 512 bytes a bit, so that the last granule is a short one: bits 0, 3, 4, 4882 are dirty. */
export const DAILY: HandBitmap = {
  name: "daily",
  size: 2_500_000n,
  granularity: 512,
  flags: 1,
  clusters: [bits(512, 0, 3, 4), bits(512, 4882 - 4096)],
};

/** What nbdinfo would say of {@link DAILY}. */
export const DAILY_MAP: string = `[
{ "offset": 0, "length": 512, "type": 1, "description": "dirty"},
{ "offset": 512, "length": 1024, "type": 0, "description": "clean"},
{ "offset": 1536, "length": 1024, "type": 1, "description": "dirty"},
{ "offset": 2560, "length": 2497024, "type": 0, "description": "clean"},
{ "offset": 2499584, "length": 416, "type": 1, "description": "dirty"}
]
`;

/** Writes a file made by hand and gives its path. */
export function handFile(directory: string, name: string, spec: HandFile): string {
  const path = join(directory, name);
  writeFileSync(path, file(spec));
  return path;
}

/** A good file with the bitmap daily. */
export function goodFile(directory: string, name = "good.qdb"): string {
  return handFile(directory, name, { bitmaps: [DAILY] });
}

/** Every name of a directory with a digest of what it holds. */
export function contentsOf(directory: string): Record<string, string> {
  const entries = readdirSync(directory).map((name): [string, string] => {
    const path = join(directory, name);
    if (!statSync(path).isFile()) return [name, "no file"];
    return [name, createHash("sha256").update(readFileSync(path)).digest("hex")];
  });
  return Object.fromEntries(entries);
}

/** What could act on a terminal or hide from a reader: control, format, bidi, invalid, private and unassigned characters, but line feeds. */
export const HARMFUL: RegExp = /[^\n\P{C}]|[\p{Zl}\p{Zp}\ufffd]/u;
