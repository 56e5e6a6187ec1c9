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
  expect(lines[2]).toContain("|OR|growth of time: 3 (2–4)|goal 8|met");
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
  expect(text).not.toContain("old");
  expect(withTable(text, RESULTS)).toBe(text);
  expect(() => withTable("no marks", RESULTS)).toThrow("no place");
});

test("the charts have a dot for each ratio, an empty one for a goal not reached, and a dot for each point of a curve", () => {
  const ratios = ratioChart(RESULTS);
  const legend = 4;
  expect(ratios.match(/<circle/g)).toHaveLength(legend + 3);
  expect(ratios.match(/<circle [^>]*fill="#fff"/g)).toHaveLength(1);
  expect(ratios).toContain(">Bits &lt; C<");
  const growth = growthChart(RESULTS);
  expect(growth.match(/<circle/g)).toHaveLength(1 + 2);
});
