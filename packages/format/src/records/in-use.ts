/** Returns why the bits of a bitmap with the flag in_use cannot be used, and what to do. `hasSession`: whether it is in a session (spec §5, Sessions). */
export function inUseMessage(hasSession: boolean): string {
  return hasSession
    ? "in_use is set: the shell of a session has the true bits; import the shell, mark everything dirty, or remove the bitmap"
    : "in_use is set: only the collector that set it has the true bits; remove the bitmap, or mark everything dirty";
}
