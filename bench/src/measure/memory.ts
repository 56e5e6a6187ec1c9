import { readFileSync, writeFileSync } from "node:fs";

/**
 * Makes the memory that a process has now its peak. Where that is not possible (it is on Linux), nothing happens, and {@link peakOf} returns
 * undefined or an older peak.
 */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // Another system, or a process that has ended.
  }
}

/**
 * Returns the most memory that a process had since {@link resetPeak}, in bytes; undefined if that cannot be known. The maximum of `getrusage`
 * is of no use: a process inherits that of the process that started it.
 */
export function peakOf(pid: number): number | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return undefined;
  }
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
