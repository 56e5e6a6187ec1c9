import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";

/** A directory for one test. When the test ends it is removed, and no file in it may still be open. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "qdb-io-"));
  onTestFinished(() => {
    const open = openPaths().filter((path) => path.startsWith(directory));
    rmSync(directory, { recursive: true, force: true });
    expect(open).toEqual([]);
  });
  return directory;
}

/** Paths that this process has open. */
export function openPaths(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The directory that was just listed is open no more.
      return [];
    }
  });
}
