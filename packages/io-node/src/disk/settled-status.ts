import type { FileStatus } from "../system/file-status.ts";

/** Time in ms after which a write is sure to get another mtime: kernel ticks take up to 10 ms, and exFAT counts in 10 ms. */
const GRAIN_MS = 25;

/** The same for an mtime that is a whole second: FAT counts in two seconds, ext4 with small inodes in one. */
const COARSE_GRAIN_MS = 2025;

/** Most attempts for a file that keeps being written. */
const MAX_LOOKS = 4;

/**
 * Waits until a file was not written for long enough that the next write changes its mtime, since two writes in one tick of the
 * clock get the same mtime. Returns the status; `isSettled` is false when the file kept being written.
 */
export function settledStatus(look: () => FileStatus): { readonly status: FileStatus; readonly isSettled: boolean } {
  let status = look();
  for (let looks = 1; ; looks++) {
    const wait = millisecondsToWait(status);
    if (wait === 0 || looks === MAX_LOOKS) return { status, isSettled: wait === 0 };
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wait);
    status = look();
  }
}

function millisecondsToWait({ kind, mtimeNs }: FileStatus): number {
  if (kind === "block") return 0;
  const grain = mtimeNs % 1_000_000_000n === 0n ? COARSE_GRAIN_MS : GRAIN_MS;
  const wait = Number(mtimeNs / 1_000_000n) + grain - Date.now();
  // Do not wait for an mtime that was set to the future.
  return wait > 2 * grain ? 0 : Math.max(0, wait);
}
