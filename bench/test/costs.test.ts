import { expect, test } from "vitest";
import { grown, readBaseline, warningOf } from "../src/costs/baseline.ts";
import { countCosts } from "../src/costs/count.ts";
import type { Cost } from "../src/costs/counting-store.ts";

test("no counted cost has doubled, and those that have grown are told of", async () => {
  const baseline = readBaseline();
  const costs = await countCosts();
  expect(Object.keys(costs)).toEqual(Object.keys(baseline));
  const changes = grown(baseline, costs);
  const warning = warningOf(changes);
  if (warning !== undefined) console.warn(warning);
  expect(changes.filter(({ before, now }) => now > 2 * before)).toEqual([]);
});

test("the costs are the same each time", async () => {
  expect(await countCosts()).toEqual(await countCosts());
});

test("a cost that has grown is found, and one that has shrunk is none", () => {
  const cost: Cost = { calls: 3, reads: 2, bytesRead: 100, writes: 1, bytesWritten: 50, fsyncs: 0 };
  expect(grown({ mark: cost }, { mark: { ...cost, reads: 1, bytesRead: 101 } })).toEqual([
    { operation: "mark", what: "bytesRead", before: 100, now: 101 },
  ]);
  expect(grown({ mark: cost }, { mark: cost, clear: { ...cost, calls: 0 } })).toHaveLength(4);
  expect(warningOf([])).toBeUndefined();
  expect(warningOf(grown({ mark: cost }, { mark: { ...cost, fsyncs: 1 } }))).toContain(
    "::warning::a counted cost has grown: mark: fsyncs 0 → 1",
  );
});
