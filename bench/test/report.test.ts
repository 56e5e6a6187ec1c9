import { expect, test } from "vitest";
import { growthChart } from "../src/report/growth-chart.ts";
import { withTable } from "../src/report/markdown.ts";
import { ratioChart } from "../src/report/ratio-chart.ts";
import type { Results } from "../src/report/results.ts";
import { rowText } from "../src/report/text.ts";

const time = { median: 2e6, low: 1e6, high: 3e6 };
const RESULTS: Results = {
  node: "20.1.2",
  v8: "11.3",
  processor: "a processor",
  quick: false,
  rows: [
    { id: "limits", title: "Limits", limits: [{ name: "memcpy", value: 10.04, unit: "GB/s" }] },
    {
      id: "kernels",
      title: "Bits < C",
      comparisons: [
        {
          data: "32 MiB",
          operation: "OR",
          rounds: 3,
          qdb: { label: "QDB", time, peak: 2 ** 26 },
          peers: [
            { label: "met", time, peak: 2 ** 23, ratio: { median: 1.5, low: 1.25, high: 2 }, goal: 1.5 },
            { label: "missed", time, ratio: { median: 1.51, low: 1.5, high: 1.52 }, goal: 1.5 },
            { label: "no goal", time, peak: 2 ** 23, ratio: { median: 0.5, low: 0.4, high: 0.6 } },
            { label: "absent", missing: "not installed" },
          ],
        },
      ],
    },
    {
      id: "commands",
      title: "Commands",
      comparisons: [
        {
          data: "2 × 32 MiB",
          operation: "merge",
          rounds: 3,
          qdb: { label: "QDB", time, peak: 2 ** 26 },
          peers: [
            {
              ...{ label: "qemu-img", time, peak: 2 ** 27, goal: 0.3, memoryGoal: 0.5 },
              ratio: { median: 0.25, low: 0.2, high: 0.3 },
              processorRatio: { median: 0.4, low: 0.3, high: 0.5 },
            },
            {
              ...{ label: "floor", time, peak: 2 ** 25, memoryGoal: 1 },
              ratio: { median: 1.2, low: 1, high: 2 },
              processorRatio: { median: 1.1, low: 1, high: 2 },
            },
          ],
        },
      ],
    },
    {
      id: "memory",
      title: "Memory",
      memory: [
        { operation: "merge", points: [40, 44, 52].map((peak, at) => ({ amount: 4 ** at, peak: peak * 2 ** 20 })) },
        {
          operation: "diff",
          points: [
            { amount: 1, peak: 40 * 2 ** 20 },
            { amount: 4, peak: 53 * 2 ** 20 },
          ],
        },
        {
          operation: "load",
          points: [
            { amount: 1, peak: 40 * 2 ** 20 },
            { amount: 4, missing: "[LIMIT]" },
          ],
        },
      ],
    },
    { id: "damage", title: "Damage", damage: [{ operation: "map", exit: 1, code: "BAD_CHECKSUM" }] },
    { id: "import", title: "Import", missing: "qemu-img is not installed" },
    {
      id: "growth",
      title: "Growth",
      curves: [
        {
          operation: "OR",
          quantity: "MiB",
          points: [
            { amount: 1, time, peak: 2 ** 25 },
            { amount: 8, time: { ...time, median: 6e6 }, peak: 2 ** 26 },
          ],
          growth: { median: 3, low: 2, high: 4 },
          goal: 8,
        },
      ],
    },
  ],
};

test("the table has a line for each contestant: ratio, quartiles, goal, times and memory, or why there is none", () => {
  const lines = RESULTS.rows.map((row) => rowText(row).replaceAll(/ {2,}/g, "|").split("\n"));
  expect(lines[0]).toContain("|memcpy|10 GB/s");
  expect(lines[1]?.slice(2, 6)).toEqual([
    "|32 MiB|OR|met|1.5|1.25–2|1.5|met|2|2|64|8",
    "|32 MiB|OR|missed|1.51|1.5–1.52|1.5|not met|2|2|64|?",
    "|32 MiB|OR|no goal|0.5|0.4–0.6|2|2|64|8",
    "|32 MiB|OR|absent|not installed",
  ]);
  expect(lines.at(-1)).toContain("|OR|growth of time: 3 (2–4)|goal 8|met");
});

test("commands have ratios of processor time and memory too, and rows without times are tables of their own", () => {
  const [, , commands, memory, damage, missing] = RESULTS.rows.map((row) => {
    return rowText(row).replaceAll(/ {2,}/g, "|").split("\n").slice(1, -1);
  });
  expect(commands?.slice(1)).toEqual([
    "|2 × 32 MiB|merge|qemu-img|0.25|0.2–0.3|0.3|met|2|2|64|128|0.4|0.5|0.5|met",
    "|2 × 32 MiB|merge|floor|1.2|1–2|2|2|64|32|1.1|2|1|not met",
  ]);
  // A tenth and 8 MiB more than the first are the same.
  expect(memory).toEqual([
    "|MiB of one bitmap|1|4|16|constant",
    "|merge|40|44|52|yes",
    "|diff|40|53|no",
    "|load|40|[LIMIT]|no",
  ]);
  expect(damage).toEqual(["|command|exit code|it says", "|map|1|BAD_CHECKSUM"]);
  expect(missing).toEqual(["|qemu-img is not installed"]);
});

test("the table of the documentation stands between its marks, with the charts", () => {
  const begin = "before <!-- begin of the table that pnpm bench makes -->";
  const end = "<!-- end of the table --> after";
  const text = withTable(`${begin} old ${end}`, RESULTS);
  expect(text.startsWith(begin) && text.endsWith(end)).toBe(true);
  expect(text).toContain("Node.js 20.1.2 (V8 11.3), a processor.\n\n![All ratios](ratios.svg)");
  expect(text).toContain(
    "| 32 MiB | OR | 1.5 (1.25–2) ≤ 1.5, 8 MiB | **1.51** (1.5–1.52) > 1.5, ? MiB | 0.5 (0.4–0.6), 8 MiB | not installed | 64 |",
  );
  expect(text).toContain("| OR | 1 | 3 (2–4) ≤ 8 |\n| most memory, MiB | 32 | 64 |");
  expect(text).toContain(
    "| 0.25 (0.2–0.3) ≤ 0.3, processor 0.4, 128 MiB: 0.5 ≤ 0.5 | 1.2 (1–2), processor 1.1, 32 MiB: **2** > 1 | 64 |",
  );
  expect(text).toContain("| merge | 40 | 44 | 52 | yes |\n| diff | 40 | 53 |  | **no** |");
  expect(text).toContain("### Import\n\nqemu-img is not installed\n");
  expect(text).not.toContain("old");
  expect(withTable(text, RESULTS)).toBe(text);
  expect(() => withTable("no marks", RESULTS)).toThrow("no place");
});

test("the charts have a dot for each ratio, an empty one for a goal not reached, and a dot for each point of a curve", () => {
  const ratios = ratioChart(RESULTS);
  const legend = 4 + 2;
  expect(ratios.match(/<circle/g)).toHaveLength(legend + 3 + 2);
  expect(ratios.match(/<circle [^>]*fill="#fff"/g)).toHaveLength(1);
  expect(ratios).toContain(">Bits &lt; C<");
  const growth = growthChart(RESULTS);
  expect(growth.match(/<circle/g)).toHaveLength(1 + 2);
});
