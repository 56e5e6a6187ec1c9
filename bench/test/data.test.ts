import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Input } from "../src/contestants/input.ts";
import { Hash } from "../src/contestants/operation.ts";
import { qdbOperations } from "../src/contestants/qdb.ts";
import { makeBits } from "../src/data/bits.ts";
import type { Cell } from "../src/data/cells.ts";

const folder = mkdtempSync(join(tmpdir(), "qdb-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The first and last bit of each run, found bit by bit. */
function runsOf(words: Uint32Array): number[] {
  const isDirty = (bit: number): boolean => ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1;
  const runs: number[] = [];
  for (let bit = 0; bit < words.length * 32; bit++) {
    if (!isDirty(bit)) continue;
    if (bit === 0 || !isDirty(bit - 1)) runs.push(bit);
    if (bit === words.length * 32 - 1 || !isDirty(bit + 1)) runs.push(bit);
  }
  return runs;
}

const CELLS: readonly Cell[] = [
  { mebibytes: 1, density: 0.01, pattern: "random" },
  { mebibytes: 1, density: 0.5, pattern: "random" },
  { mebibytes: 1, density: 0.1, pattern: "clustered" },
];

describe.each(CELLS)("$density $pattern", (cell) => {
  const words = makeBits(cell, "a");
  const runs = runsOf(words);
  const dirty = runs.reduce((sum, bit, at) => sum + (at % 2 === 0 ? -bit : bit + 1), 0);

  test("has the share of dirty bits and the runs that it should, each time", () => {
    expect(dirty / (words.length * 32) / cell.density).toBeCloseTo(1, 1);
    const mean = dirty / (runs.length / 2);
    if (cell.pattern === "clustered") expect(mean / 64).toBeCloseTo(1, 1);
    else expect(mean * (1 - cell.density)).toBeCloseTo(1, 1);
    expect(Buffer.from(makeBits(cell, "a").buffer).equals(Buffer.from(words.buffer))).toBe(true);
    expect(Buffer.from(makeBits(cell, "b").buffer).equals(Buffer.from(words.buffer))).toBe(false);
  });

  test("is what QDB counts, lists, builds and stores", async () => {
    const paths = ["a", "b"].map((name) => join(folder, name)) as [string, string];
    writeFileSync(paths[0], words);
    writeFileSync(paths[1], makeBits(cell, "b"));
    const input = new Input(...paths);
    // A list of two million numbers takes a matcher seconds.
    expect(Buffer.from(input.runs("a").buffer).equals(Buffer.from(Uint32Array.from(runs).buffer))).toBe(true);
    const operations = qdbOperations(input);
    const answerOf = async (name: string): Promise<unknown> => {
      const { reset, run, answer } = operations[name]!();
      reset?.();
      const result = await run();
      return answer === undefined ? result : answer(result);
    };
    for (const name of ["build", "load"]) expect(await answerOf(name)).toBe(dirty);
    expect(await answerOf("runs")).toBe(runs.length / 2);
    const hash = new Hash();
    hash.add(Uint32Array.from(runs));
    for (const name of ["build", "runs"]) {
      const { run, fullAnswer } = operations[name]!();
      expect(fullAnswer?.(await run())).toBe(hash.value);
    }
  });
});
