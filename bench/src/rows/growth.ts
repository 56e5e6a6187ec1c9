import { itemAt } from "@qdb/format/internal";
import { bitsOf, type Cell } from "../data/cells.ts";
import { Child } from "../measure/child.ts";
import { contest } from "../measure/contest.ts";
import type { Lab } from "../measure/lab.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import type { Curve } from "../report/results.ts";
import type { Row } from "./row.ts";

const OPERATIONS: Readonly<Record<string, string>> = {
  or: "OR",
  count: "count",
  runs: "list runs",
  save: "save",
  load: "load",
};

/** Dirty bits of all bitmaps of the curve over sizes. */
const DIRTY_BITS = 65536;

interface Step {
  readonly amount: number;
  readonly cell: Cell;
}

async function curvesOf(lab: Lab, quantity: string, steps: readonly Step[]): Promise<Curve[]> {
  const children: Child[] = [];
  try {
    for (const { cell } of steps) {
      const child = await lab.start("qdb", cell);
      if (!(child instanceof Child)) throw new Error(child.missing);
      children.push(child);
    }
    const measured: { label: string; times: readonly (readonly number[])[] }[] = [];
    for (const [operation, label] of Object.entries(OPERATIONS)) {
      lab.say(`${quantity}: ${label}`);
      const entrants = children.map((child, at) => ({ label: String(itemAt(steps, at).amount), child, operation }));
      const samples = await contest(entrants, { ...lab.effort(32), isSameData: false });
      measured.push({ label, times: samples.map(({ times }) => times) });
    }
    const peaks: number[] = [];
    for (const child of children) peaks.push(await child.peak());
    return measured.map(({ label, times }) => ({
      operation: label,
      quantity,
      points: steps.map(({ amount }, at) => ({
        amount,
        time: spreadOf(itemAt(times, at)),
        peak: itemAt(peaks, at),
      })),
      goal: itemAt(steps, steps.length - 1).amount / itemAt(steps, 0).amount,
      growth: ratioOf(itemAt(times, times.length - 1), itemAt(times, 0)),
    }));
  } finally {
    for (const child of children) child.kill();
  }
}

/** QDB against itself: bitmaps of more bits with as many dirty ones, and bitmaps of one size with more dirty bits. */
export const GROWTH: Row = {
  id: "growth",
  title: "Time as the work grows",
  async measure(lab) {
    const sizes = [1, 8, 64, 512].slice(0, lab.quick ? 3 : 4).map((mebibytes): Step => {
      const cell: Cell = { mebibytes, density: 0.5, pattern: "clustered" };
      return { amount: mebibytes, cell: { ...cell, density: DIRTY_BITS / bitsOf(cell) } };
    });
    const densities = [0.0001, 0.001, 0.01, 0.1, 0.5].map((density): Step => {
      return { amount: density * 100, cell: { mebibytes: lab.size(32), density, pattern: "clustered" } };
    });
    return {
      curves: [
        ...(await curvesOf(lab, "MiB of bits, 65536 of them dirty", sizes)),
        ...(await curvesOf(lab, `% of ${lab.size(32)} MiB dirty`, densities)),
      ],
    };
  },
};
