// Pages of 64 KiB in the memory of the module, where kernels need no copies. A slot is counted: it has as many references as bitmaps that
// share it, and it is given out again only when the last one has given it back. The memory never gets shorter, and the garbage collector
// does not know what is in it: so at first 256 MiB are given out beside those of the bitmap that asks, and then twice what was in use after a
// collection. All together are 2 GiB at most, which is three bitmaps of 2^32 bits and their results. What does not fit stays in arrays, which
// the collector knows.
import { kernels, memory } from "./kernels.ts";

/** Words of a slot. */
export const SLOT_WORDS = 16_384;
/** The address of slot n is n times 64 KiB; tables, input and output come first. */
const FIRST = 4;
const MAX_SLOTS = 32_768;
const UNPROVEN_SLOTS = 4096;
/** The memory grows by at least this many slots, and by an eighth. */
const MIN_GROWTH = 16;

/** Number of references to each slot. */
export const references: number[] = new Array<number>(FIRST).fill(1);
const free: number[] = [];
/** No slot was ever given out from here on: their words are zero. */
let next = FIRST;
/** Number of slots that the memory has. */
let available = FIRST;
let limit = UNPROVEN_SLOTS;

/**
 * Returns a slot with one reference; undefined if there is none. Its words are zero with `isClear`; otherwise the caller writes all of
 * them. `own` is the number of slots that the caller has, which are no garbage. The call can detach views of the memory.
 */
export function takeSlot(isClear: boolean, own: number): number | undefined {
  const fast = kernels();
  if (fast === undefined) return undefined;
  let slot = free.pop();
  if (slot !== undefined) {
    // What was there before are the bits of another bitmap.
    if (isClear) slotWords(slot).fill(0);
  } else {
    if (next - own >= limit) return undefined;
    if (next === available) {
      const more = Math.min(MAX_SLOTS - available, Math.max(MIN_GROWTH, available >> 3));
      if (more <= 0 || !fast.grow(more)) return undefined;
      available += more;
    }
    if (next === FIRST) awaitCollection();
    slot = next++;
  }
  references[slot] = 1;
  return slot;
}

/** Adds a reference to a slot. */
export function shareSlot(slot: number): void {
  references[slot] = referencesOf(slot) + 1;
}

/** Takes a reference from a slot. */
export function dropSlot(slot: number): void {
  const left = referencesOf(slot) - 1;
  references[slot] = left;
  if (left === 0) free.push(slot);
}

function referencesOf(slot: number): number {
  const count = references[slot];
  if (count === undefined || count < 1) throw new Error(`slot ${slot} is used, but nobody holds it`);
  return count;
}

/** A view of each slot that was looked at, in the memory that `viewed` is: a view takes longer to make than to use. */
let views: (Uint32Array | undefined)[] = [];
let viewed = memory.words;

/** Returns the words of a slot, or the first ones of them. They are valid until the next slot is taken. */
export function slotWords(slot: number, length: number = SLOT_WORDS): Uint32Array {
  if (viewed !== memory.words) {
    viewed = memory.words;
    views = [];
  }
  const view = views[slot] ?? viewed.subarray(slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS);
  views[slot] = view;
  return length === SLOT_WORDS ? view : view.subarray(0, length);
}

/** Returns a copy of a view of slots, which is the caller's; other views are returned as they are. */
export function outsideSlots<T extends Uint8Array | Uint32Array>(view: T): T {
  return view.buffer === memory.words.buffer ? (view.slice() as T) : view;
}

/** Drops a reference to each of the slots and forgets them; 0 stands for none. */
export function dropAll(slots: number[]): void {
  for (const slot of slots.splice(0)) if (slot !== 0) dropSlot(slot);
}

/** Calls back when the owner of slots is garbage; for null, when a collection has ended. Not every host has it. */
const registry =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<number[] | null>((slots) => {
        if (slots === null) void Promise.resolve().then(setLimit);
        else dropAll(slots);
      });

/** Drops the slots of a list when its owner is garbage. */
export function watchSlots(owner: object, slots: number[]): void {
  registry?.register(owner, slots);
}

function awaitCollection(): void {
  registry?.register({}, null);
}

/** Sets the limit after a collection: what is in use now is no garbage. */
function setLimit(): void {
  limit = Math.min(MAX_SLOTS, Math.max(UNPROVEN_SLOTS, 2 * (next - free.length)));
  awaitCollection();
}

/** The number of slots in use, and of those that the memory has. For tests. */
export function slotUse(): { readonly used: number; readonly available: number } {
  return { used: next - FIRST - free.length, available: available - FIRST };
}
