import type { Problem } from "../errors.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";

/**
 * The state of a bitmap, in the words of `qdb info`:
 * - `ok`: it collects writes
 * - `disabled`: it does not collect, and its bits can be used
 * - `frozen`: its period has ended and is being backed up; its successor collects
 * - `inconsistent`: the flag in_use is set. A collector has the true bits, or had them when it was killed
 * - `unsupported`: it has a flag that this version does not know
 * - `corrupt`: it breaks another rule
 */
export type BitmapState = "ok" | "disabled" | "frozen" | "inconsistent" | "unsupported" | "corrupt";

/** Returns the state of a bitmap with given flags. `problem` is the first problem of the bitmap; undefined if it has none. */
export function bitmapState(flags: Pick<BitmapEntry, "has">, problem: Problem | undefined): BitmapState {
  if (problem?.code === "INCONSISTENT") return "inconsistent";
  if (problem?.code === "UNSUPPORTED_FEATURE") return "unsupported";
  if (problem !== undefined) return "corrupt";
  if (flags.has("frozen")) return "frozen";
  return flags.has("enabled") ? "ok" : "disabled";
}
