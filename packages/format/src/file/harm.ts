import { QdbError } from "../errors.ts";
import type { Digests } from "../ports/digest.ts";
import { type Plan, read } from "../ports/plan.ts";
import type { NextHeader } from "./commit-layout.ts";
import { type FileState, loadMaps } from "./maps.ts";
import type { NextBitmap } from "./next-bitmap.ts";

/** What a commit is to make of a file, as far as it decides what becomes an owner. */
export interface Outlook {
  readonly bitmaps: readonly NextBitmap[];
  readonly table: Pick<NextHeader, "table" | "tableOffset">;
  /** Length of the file in bytes. */
  readonly fileSize: number;
}

/**
 * Refuses a commit that would bring a bitmap into error that is good: an L1 area that runs past the end would lie inside a longer file,
 * and what stands in an area that shares a cluster with the table or with an area that goes would count; either can name what others
 * own (spec §5, Files in error).
 * @throws {QdbError} OVERLAP
 */
export function* refuseHarm({ index }: FileState, next: Outlook, digests: Digests): Plan<void> {
  const kept = next.bitmaps.flatMap(({ from, bits }) => (from === undefined || bits !== undefined ? [] : [from]));
  const entries = kept.map(({ entry }) => entry);
  const after = {
    ...index,
    fileSize: next.fileSize,
    header: { ...index.header, bitmapsOffset: BigInt(next.table.tableOffset) },
    table: { bytes: next.table.table, entries: index.table.entries },
  };
  const maps = yield* readLonger(loadMaps(after, entries, digests), index.fileSize);
  for (const [position, { entry, map }] of kept.entries()) {
    const harm = map === undefined ? undefined : maps.damage(position, entry);
    if (harm === undefined) continue;
    const message = `beside a damaged bitmap this change would damage a good one: ${harm.message}; run qdb check -r, or remove the damaged one first`;
    throw new QdbError("OVERLAP", message, harm.where);
  }
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
