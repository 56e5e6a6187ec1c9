// Changes of a bitmap's bits. The caller has loaded the bits. A change that fails leaves the bitmap as it was.
import { Bitmap } from "../bitmap/bitmap.ts";
import { newPoint } from "./chain-records.ts";
import {
  bitsToChange,
  type entryOf,
  loadedBits,
  type PendingBitmap,
  removableEntry,
  usableEntry,
  usage,
} from "./pending-bitmap.ts";

/** A function that changes bits in place and returns them, or returns other bits. If it throws, it has not changed the bits. */
export type BitChange = (bits: Bitmap) => Bitmap;

/** Returns the {@link BitChange} that changes bits in place. */
export function inPlace(change: (bits: Bitmap) => void): BitChange {
  return (bits) => {
    change(bits);
    return bits;
  };
}

/** Makes a change that never makes a dirty bit clean. @throws {QdbError} as {@link usableEntry} and the change */
export function addDirt(bitmap: PendingBitmap, change: BitChange): void {
  usableEntry(bitmap);
  bitmap.bits = change(bitsToChange(bitmap));
}

/** Makes a change that may make dirty bits clean: the bitmap gets a new id in its chain of backups (spec §3). @throws {QdbError} as {@link removableEntry} and the change */
export function removeDirt(bitmap: PendingBitmap, newId: () => Uint8Array, change: BitChange): void {
  const entry = entryOfNewPoint(bitmap, newId);
  bitmap.bits = change(bitsToChange(bitmap));
  Object.assign(bitmap, { entry, isNewPoint: true });
}

/**
 * Makes a change of which only the result is known. A bit that was dirty and is clean in the result is removed dirt.
 * @throws {QdbError} as {@link usableEntry} and the callback; USAGE if the result has another shape, or if dirt is removed from a frozen bitmap
 */
export function changeBits(bitmap: PendingBitmap, newId: () => Uint8Array, callback: BitChange): void {
  usableEntry(bitmap);
  const result: unknown = callback(loadedBits(bitmap).clone());
  const before = loadedBits(bitmap);
  if (!(result instanceof Bitmap) || result.size !== before.size || result.granularity !== before.granularity)
    throw usage("a change of its bits has to return a bitmap of the same size and granularity", bitmap.name);
  // The callback may hold its result, and change it later.
  const bits = result.clone();
  if (before.hasDirtOutside(bits)) Object.assign(bitmap, { entry: entryOfNewPoint(bitmap, newId), isNewPoint: true });
  bitmap.bits = bits;
}

/** Returns the entry of a bitmap after dirty bits are removed. One new id serves all actions of a commit: the chain would break at a parent that was never stored. */
function entryOfNewPoint(bitmap: PendingBitmap, newId: () => Uint8Array): ReturnType<typeof entryOf> {
  const entry = removableEntry(bitmap);
  if (bitmap.isNewPoint === true) return entry;
  return { ...entry, extraData: newPoint(entry.extraData, newId()) };
}
