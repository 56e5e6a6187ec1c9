import type { Problem } from "../errors.ts";
import type { Digests } from "../ports/digest.ts";
import { type Plan, read } from "../ports/plan.ts";
import { type FileState, loadMaps } from "./maps.ts";
import type { NextBitmap } from "./next-bitmap.ts";

/**
 * What would be wrong with a bitmap that is good now, once a commit has made the file so long: an L1 area that runs past the end now
 * would lie inside and could lie over what others own, and so could what stands in an area that now shares a cluster (spec §5, Files
 * in error). Undefined when every good one stays good.
 */
export function* harmOf(
  { index }: FileState,
  next: readonly NextBitmap[],
  fileSize: number,
  digests: Digests,
): Plan<Problem | undefined> {
  const kept = next.flatMap(({ from, bits }) => (from === undefined || bits !== undefined ? [] : [from]));
  const entries = kept.map(({ entry }) => entry);
  const maps = yield* readLonger(loadMaps({ ...index, fileSize }, entries, digests), index.fileSize);
  for (const [position, { entry, map }] of kept.entries()) {
    if (map !== undefined && maps.map(position, entry) === undefined) return maps.damage(position, entry);
  }
  return undefined;
}

/** Runs a plan as if the file were longer: what a commit leaves unwritten behind the old end reads as zeros. */
function* readLonger<T>(plan: Plan<T>, fileSize: number): Plan<T> {
  let step = plan.next([]);
  while (step.done !== true) {
    if ("put" in step.value) throw new Error("the plan puts nothing out");
    const asked = step.value.read;
    let pieces: readonly Uint8Array[];
    try {
      pieces = yield* read(asked.map(({ offset, length }) => ({ offset, length: clamp(fileSize - offset, length) })));
    } catch (error) {
      step = plan.throw(error);
      continue;
    }
    step = plan.next(asked.map(({ length }, at) => padded(pieces[at], length)));
  }
  return step.value;
}

function clamp(left: number, length: number): number {
  return Math.max(0, Math.min(left, length));
}

function padded(piece: Uint8Array | undefined, length: number): Uint8Array {
  if (piece === undefined) throw new Error("a read gave fewer pieces than ranges");
  if (piece.length === length) return piece;
  const longer = new Uint8Array(length);
  longer.set(piece);
  return longer;
}
