import type { Plan } from "../ports/plan.ts";
import type { Container, PendingChange } from "./container.ts";
import type { PendingBitmap } from "./pending-bitmap.ts";

/** Returns what a commit stores of each bitmap; undefined if nothing changes. */
export function* findChanges(
  bitmaps: readonly PendingBitmap[],
  container: Container,
): Plan<readonly PendingChange[] | undefined> {
  // Forked before anything is read, so that actions that run meanwhile have no effect.
  const pending = bitmaps.map((bitmap) => ({ ...bitmap, ...forked(bitmap) }));
  const changes: PendingChange[] = [];
  for (const bitmap of pending) changes.push(yield* changeOf(bitmap));
  const isSame =
    changes.length === container.bitmaps.length &&
    changes.every(({ index, entry, bits }, at) => index === at && entry === undefined && bits === undefined);
  return isSame ? undefined : changes;
}

function forked({ bits }: PendingBitmap): Pick<PendingBitmap, "bits"> {
  return bits === undefined ? {} : { bits: bits.fork() };
}

function* changeOf({ from, index, entry, bits }: PendingBitmap): Plan<PendingChange> {
  if (bits !== undefined) yield* bits.settle();
  const isSame = bits !== undefined && from !== undefined && !bits.isChangedFrom(from.map);
  return {
    ...(index === undefined ? {} : { index }),
    ...(entry === undefined || from?.hasEntry(entry) === true ? {} : { entry }),
    ...(bits === undefined || isSame ? {} : { bits }),
  };
}
