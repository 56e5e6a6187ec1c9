import type { Facts } from "../system/facts.ts";

/** How much later than an mtime a write surely gets another one: the kernel's tick is 10 ms at most, exFAT counts in 10 ms. */
const GRAIN_MS = 25;

/** The same where an mtime is a whole second: FAT counts in two seconds, ext4 with small inodes in one. */
const COARSE_GRAIN_MS = 2025;

/** Times that a file is looked at while it is written to. */
const MAX_LOOKS = 4;

/**
 * Facts of a file that was left alone for long enough that the next write to it shows in its mtime, which is waited for: two
 * writes in one tick of the clock have the same. `isSettled` is false for a file that was written to again each time.
 */
export function settledFacts(look: () => Facts): { readonly facts: Facts; readonly isSettled: boolean } {
  let facts = look();
  for (let looks = 1; ; looks++) {
    const wait = millisecondsToWait(facts);
    if (wait === 0 || looks === MAX_LOOKS) return { facts, isSettled: wait === 0 };
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wait);
    facts = look();
  }
}

function millisecondsToWait({ kind, mtimeNs }: Facts): number {
  if (kind === "block") return 0;
  const grain = mtimeNs % 1_000_000_000n === 0n ? COARSE_GRAIN_MS : GRAIN_MS;
  const wait = Number(mtimeNs / 1_000_000n) + grain - Date.now();
  // A time that somebody set to the future is not waited for.
  return wait > 2 * grain ? 0 : Math.max(0, wait);
}
