// Changes of a bitmap's bits: prepared by reading what they need, and then made at once. A change that fails leaves the bitmap as it was.
import { Bitmap } from "../bitmap/bitmap.ts";
import type { Combination } from "../bitmap/combination.ts";
import { type Apply, ClusterBits } from "../bits/cluster-bits.ts";
import { prepareCombination, withChanges } from "../bits/combine-bits.ts";
import { readClusterBits } from "../bits/read-cluster-bits.ts";
import type { ChangeOptions } from "../bits/readable-clusters.ts";
import type { Plan } from "../ports/plan.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import { newPoint } from "./chain-records.ts";
import type { EditSource } from "./edit-options.ts";
import { bitsOf, type PendingBitmap, removableEntry, usableEntry, usage } from "./pending-bitmap.ts";

/** Reads what a change needs. */
export type Prepare = (bits: ClusterBits) => Plan<Apply>;

/**
 * Prepares a change. Starts over if another action changed the bits while they were read. `refuse` throws if the bitmap does not allow the
 * change; it is called before the reads and after them.
 * @throws {QdbError} as `refuse`, {@link bitsOf} and `prepare`
 */
export function* prepareChange(
  bitmap: PendingBitmap,
  refuse: (bitmap: PendingBitmap) => void,
  prepare: Prepare,
  options: ChangeOptions,
): Plan<Apply> {
  for (;;) {
    refuse(bitmap);
    const bits = bitsOf(bitmap, options);
    const { version } = bits;
    const apply = yield* prepare(bits);
    refuse(bitmap);
    if (bitmap.bits === bits && bits.version === version) return apply;
  }
}

/** Prepares to make every bit clean. Nothing is read. */
export function* prepareClear(bits: ClusterBits): Plan<Apply> {
  return () => {
    bits.fill("zeros");
    return bits;
  };
}

/** Bytes of a bitmap in memory that are combined at a time. */
const SOURCE_CLUSTER = 64 * 1024;

/** Returns the change that combines bits with those of a source. */
export function combining(how: Combination, source: EditSource): Prepare {
  const bits = source instanceof Bitmap ? ClusterBits.of(source, { clusterSize: SOURCE_CLUSTER }) : source;
  return (target) => prepareCombination(target, how, bits);
}

/** Makes a change that never makes a dirty bit clean. @throws {QdbError} as {@link usableEntry} */
export function addDirt(bitmap: PendingBitmap, apply: Apply): void {
  usableEntry(bitmap);
  bitmap.bits = apply();
}

/** Makes a change that may make dirty bits clean: the bitmap gets a new id in its chain of backups (spec §3). @throws {QdbError} as {@link removableEntry} */
export function removeDirt(bitmap: PendingBitmap, newId: () => Uint8Array, apply: Apply): void {
  const entry = entryOfNewPoint(bitmap, newId);
  bitmap.bits = apply();
  Object.assign(bitmap, { entry, isNewPoint: true });
}

/**
 * Makes a change of which only the result is known. A bit that was dirty and is clean in the result is removed dirt.
 * @throws {QdbError} as {@link usableEntry} and the callback; LIMIT if the bits do not fit `maxBitmapBytes`; USAGE if the result has another shape, if the bitmap was changed by something else meanwhile, or if dirt is removed from a frozen bitmap
 */
export function* changeBits(
  bitmap: PendingBitmap,
  refuse: (bitmap: PendingBitmap) => void,
  newId: () => Uint8Array,
  callback: (bits: Bitmap) => Bitmap,
  options: ChangeOptions,
): Plan<void> {
  let before: Bitmap | undefined;
  const prepare: Prepare = function* (bits) {
    before = yield* readClusterBits(bits, bitmap.name, options);
    return () => bits;
  };
  const bits = (yield* prepareChange(bitmap, refuse, prepare, options))();
  if (before === undefined) throw new Error("the bits of a bitmap are read before they are changed");
  const { version } = bits;
  const result: unknown = callback(before.clone());
  if (bitmap.bits !== bits || bits.version !== version)
    throw usage("it was changed by the callback that computes its bits; change it in one way only", bitmap.name);
  refuse(bitmap);
  if (!(result instanceof Bitmap) || result.size !== before.size || result.granularity !== before.granularity)
    throw usage("a change of its bits has to return a bitmap of the same size and granularity", bitmap.name);
  const entry = before.hasDirtOutside(result) ? entryOfNewPoint(bitmap, newId) : undefined;
  bitmap.bits = withChanges(bits, before, result);
  if (entry !== undefined) Object.assign(bitmap, { entry, isNewPoint: true });
}

/** Returns the entry of a bitmap after dirty bits are removed. One new id serves all actions of a commit: the chain would break at a parent that was never stored. */
function entryOfNewPoint(bitmap: PendingBitmap, newId: () => Uint8Array): EntryContents {
  const entry = removableEntry(bitmap);
  if (bitmap.isNewPoint === true) return entry;
  return { ...entry, extraData: newPoint(entry.extraData, newId()) };
}
