// The verdict: what a file may say, against what it says.
import { covers, equal, granules, unpack } from "./bits.ts";
import { type PlainBitmap, PlainFile, packed } from "./plain.ts";
import type { View, ViewedBitmap } from "./view.ts";

/** A state that a file may be in: as it was seen once, and what of it must not be lost. */
export interface State {
  readonly view: View;
  readonly plain: PlainFile;
}

/** What is worse than what it was before, as a reader of a failure wants it; undefined where nothing is. */
export type Verdict = string | undefined;

/** Whether a file read after a power cut is in a state: nothing of it differs, and no bitmap in error became worse. */
export function isIn(state: State, seen: View): Verdict {
  const { bitmaps } = state.view;
  if (bitmaps === undefined || seen.bitmaps === undefined) {
    return seen.error === state.view.error ? undefined : `the file is refused with ${seen.error ?? "nothing"}`;
  }
  if (bitmaps.length !== seen.bitmaps.length) return `${seen.bitmaps.length} bitmaps in place of ${bitmaps.length}`;
  for (const [at, before] of bitmaps.entries()) {
    const now = seen.bitmaps[at]!;
    if (!equal(before.entry, now.entry)) return `the entry of ${before.name} differs`;
    if (before.bits !== undefined) {
      if (now.bits === undefined || !equal(before.bits, now.bits)) return compared(before.name, before.bits, now);
    } else {
      const worse = stillInError(before, now, state.plain.bitmaps[at]!);
      if (worse !== undefined) return worse;
    }
  }
  return undefined;
}

/**
 * The state of several that a file is in, the newest first. A change of a bitmap in error does not show: its bits are refused before and
 * after it. Then the file can be in any of the states that fit, and only what is dirty in all of them must not be lost.
 */
export function stateOf(states: readonly State[], seen: View): State | undefined {
  const [newest, ...others] = states.filter((state) => isIn(state, seen) === undefined);
  if (newest === undefined || others.length === 0) return newest;
  const plain = newest.plain.clone();
  plain.isDoubtful = newest.plain.isDoubtful;
  for (const [at, bitmap] of plain.bitmaps.entries()) {
    if (bitmap.damage === undefined) continue;
    for (const { plain: other } of others) {
      const bits = other.bitmaps[at]?.bits;
      if (bits?.length === bitmap.bits.length) bitmap.bits = bitmap.bits.map((bit, index) => bit & bits[index]!);
    }
  }
  return { ...newest, plain };
}

/** How bits differ that must not. */
function compared(name: string, needed: Uint8Array, now: ViewedBitmap): string {
  if (now.bits === undefined) return `${name} was good and is in error: ${now.error?.code}`;
  return covers(now.bits, needed) ? `${name} has more dirty bits` : `${name} HAS LOST dirty bits`;
}

/** A bitmap that was in error: not worse now, and where it can be read, all its dirt is there. */
function stillInError(before: ViewedBitmap, now: ViewedBitmap, plain: PlainBitmap): Verdict {
  const bits = now.bits ?? now.alone;
  // What a collector had not stored nobody knows.
  if (before.error?.code === "INCONSISTENT") {
    return now.error?.code === "INCONSISTENT" ? undefined : `${before.name} was inconsistent and is ${now.error?.code}`;
  }
  if (bits !== undefined && !covers(bits, packed(plain))) return `${before.name} was in error and HAS LOST dirty bits`;
  if (now.error?.isShared === true && before.error?.isShared === false && plain.isTwin !== true)
    return `${before.name} had ${before.error?.code} and shares a cluster now`;
  if (now.error?.isMapped === false && before.error?.isMapped === true)
    return `${before.name} had ${before.error.code} in its data, and its L1 area is not good now: ${now.error.code}`;
  if (now.error?.isBeyondRepair === true && before.error?.isBeyondRepair === false)
    return `${before.name} had ${before.error.code} and is beyond repair now`;
  return undefined;
}

/** What the actions are to come to, against the file that they came to. `isLoose`: healthy bitmaps may have become dirtier. */
export function isResult(expected: PlainFile, before: View, seen: View, isLoose: boolean): Verdict {
  if (seen.bitmaps === undefined) return `the file is refused with ${seen.error}`;
  if (seen.bitmaps.length !== expected.bitmaps.length)
    return `${seen.bitmaps.length} bitmaps in place of ${expected.bitmaps.length}`;
  for (const [at, plain] of expected.bitmaps.entries()) {
    const now = seen.bitmaps[at]!;
    const old = before.bitmaps?.find(({ name }) => name === (plain.was ?? plain.name));
    const wrong = isBitmap(plain, old, now, isLoose);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function isBitmap(plain: PlainBitmap, old: ViewedBitmap | undefined, now: ViewedBitmap, isLoose: boolean): Verdict {
  const { name } = plain;
  if (now.name !== name) return `${now.name} in place of ${name}`;
  if (!plain.isTouched && (old === undefined || !equal(old.entry, now.entry))) return `the entry of ${name} changed`;
  const wrong = plain.isTouched ? isEntry(plain, now.entry) : undefined;
  if (wrong !== undefined) return `${name}: ${wrong}`;
  if (plain.damage !== undefined && old !== undefined) return stillInError(old, now, plain);
  const needed = packed(plain);
  if (now.bits !== undefined && (isLoose ? covers(now.bits, needed) : equal(now.bits, needed))) return undefined;
  return compared(name, needed, now);
}

/** The fields of an entry that actions change. */
function isEntry(plain: PlainBitmap, entry: Uint8Array): Verdict {
  const view = new DataView(entry.buffer, entry.byteOffset);
  const flags = view.getUint16(24);
  if (view.getUint32(12) !== plain.granularity) return "another granularity";
  if (Number(view.getBigUint64(16)) !== plain.size) return "another size";
  if (((flags & 1) !== 0) !== plain.isEnabled) return "another enabled flag";
  if (((flags & 4) !== 0) !== (plain.successor !== undefined)) return "another frozen flag";
  const records = Buffer.from(entry.subarray(40));
  if (plain.successor !== undefined && !records.includes(plain.successor)) return "another successor";
  if (plain.comment !== undefined && !records.includes(plain.comment)) return "another comment";
  return undefined;
}

/** The plain file of what was seen: damage as it is now, and bits of what can be read again. */
export function settled(expected: PlainFile, seen: View): PlainFile {
  const file = new PlainFile(seen.form === "draft", expected.clone().bitmaps);
  for (const [at, bitmap] of file.bitmaps.entries()) {
    const now = seen.bitmaps?.[at];
    const error = now?.error;
    if (now?.bits !== undefined && (bitmap.damage !== undefined || !equal(now.bits, packed(bitmap))))
      bitmap.bits = unpack(now.bits, granules(bitmap));
    bitmap.damage = error;
    if (error === undefined) bitmap.isTwin = false;
  }
  return file;
}
