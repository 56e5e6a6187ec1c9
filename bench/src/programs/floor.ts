import { join } from "node:path";
import { bitsOf, type Cell } from "../data/cells.ts";
import { BENCH } from "../paths.ts";
import type { Rival } from "./race.ts";
import type { Workshop } from "./workshop.ts";

const SCRIPT = join(BENCH, "floor", "commands.cjs");

/** What each command may take of the time of the least that it has to do. */
const GOAL = 1.3;

/** Bytes of a cluster of the files that are measured, and of a table of two or three bitmaps. */
export const CLUSTER = 4096;

/** Bytes of an L1 entry. */
const L1_ENTRY = 12;

/** Returns the bytes of the bits of one bitmap. */
export function bytesOf(cell: Cell): number {
  return bitsOf(cell) / 8;
}

/** Returns the bytes of an L1 area of as many bytes of bits, as a file has it. */
function mapOf(bytes: number): number {
  return Math.ceil((Math.ceil(bytes / CLUSTER) * L1_ENTRY) / CLUSTER) * CLUSTER;
}

function floor(workshop: Workshop, list: string, args: readonly (string | number)[], prepare?: () => void): Rival {
  const command = workshop.node(SCRIPT, list, ...args);
  return { label: "floor", command, goal: GOAL, isOwn: true, ...(prepare === undefined ? {} : { prepare }) };
}

/** What a command has to do that reads one or two bitmaps of a file. */
export function floorOfLooking(workshop: Workshop, path: string, cell: Cell, bitmaps: number, printed: number): Rival {
  const bytes = bytesOf(cell);
  return floor(workshop, "look", [path, bitmaps * mapOf(bytes), bitmaps * bytes, CLUSTER, printed]);
}

/** What a command has to do that reads and stores bytes of bits, in a file with two bitmaps. */
export function floorOfCommit(
  workshop: Workshop,
  path: string,
  cell: Cell,
  bytes: { readonly read: number; readonly stored: number },
  prepare: () => void,
): Rival {
  const maps = 2 * mapOf(bytesOf(cell));
  // Marking changes one cluster, and its L1 area is that of the whole bitmap.
  const map = bytes.stored === 0 ? 0 : mapOf(bytes.stored === CLUSTER ? bytesOf(cell) : bytes.stored);
  return floor(workshop, "commit", [path, maps, bytes.read, CLUSTER, map + CLUSTER, bytes.stored], prepare);
}

/** What an import of both bitmaps of an image has to do. */
export function floorOfImport(
  workshop: Workshop,
  source: string,
  path: string,
  cell: Cell,
  prepare: () => void,
): Rival {
  const bytes = bytesOf(cell);
  return floor(workshop, "import", [source, path, 2 * bytes, CLUSTER, 2 * mapOf(bytes) + CLUSTER], prepare);
}

/** What a comparison of two images has to do. */
export function floorOfDiff(
  workshop: Workshop,
  images: { readonly base: string; readonly current: string; readonly length: number; readonly granularity: number },
  path: string,
  prepare: () => void,
): Rival {
  const { base, current, length, granularity } = images;
  const bytes = length / granularity / 8;
  return floor(workshop, "diff", [base, current, path, length, granularity, bytes, CLUSTER], prepare);
}
