// Programs that drop bitmaps without freeing them: finalisers do not run in a loop, nor between microtasks.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const CHILD = fileURLToPath(new URL("dropped-child.ts", import.meta.url));

async function peakOf(...args: readonly string[]): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", CHILD, ...args]);
  return Number(stdout);
}

/** `pnpm soak memory` makes as many as the time of npm test does not allow. */
const COUNT = process.env.QDB_SOAK === "1" ? 1000 : 100;

test.each([
  ["loop", "dropped", 900],
  ["microtasks", "dropped", 900],
  ["loop", "freed", 250],
])(`${COUNT} bitmaps of 32 MiB in a %s, %s, take less than %i MiB`, { timeout: 300_000 }, async (how, end, most) => {
  expect(await peakOf(how, end, String(COUNT))).toBeLessThan(most);
});

test("65,535 bitmaps can be open", { timeout: 300_000 }, async () => {
  expect(await peakOf("open")).toBeLessThan(1024);
});

test("slots of bitmaps that are garbage are given back, but none that a clone holds", { timeout: 60_000 }, async () => {
  expect(await peakOf("collect")).toBeGreaterThan(0);
});
