import type { FileStatus } from "../system/file-status.ts";

/** Time in ms after which a write is sure to get another mtime: a tick of the kernel takes up to 10 ms, and exFAT stores units of 10 ms. */
const GRAIN_MS = 25;

/** The same time if the mtime is a whole second: FAT stores units of two seconds, ext4 with small inodes units of one second. */
const COARSE_GRAIN_MS = 2025;

/** Maximum number of times that the status is read, for a file that is written again and again. */
const MAX_LOOKS = 4;

/**
 * Waits until a file was not written for long enough that the next write changes its mtime, since two writes in one tick of the
 * clock get the same mtime. Returns the status; `isSettled` is false if the file was written again each time.
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
  // An mtime in the future was set by a program, and is not waited for.
  return wait > 2 * grain ? 0 : Math.max(0, wait);
}
