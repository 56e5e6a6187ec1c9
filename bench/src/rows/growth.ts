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
    const curves: Curve[] = [];
    for (const [operation, label] of Object.entries(OPERATIONS)) {
      lab.say(`${quantity}: ${label}`);
      const entrants = children.map((child, at) => ({ label: String(itemAt(steps, at).amount), child, operation }));
      const samples = await contest(entrants, { ...lab.effort(32), isSameData: false });
      curves.push({
        operation: label,
        quantity,
        points: samples.map(({ times, peak }, at) => ({
          amount: itemAt(steps, at).amount,
          time: spreadOf(times),
          ...(peak === undefined ? {} : { peak }),
        })),
        goal: itemAt(steps, steps.length - 1).amount / itemAt(steps, 0).amount,
        growth: ratioOf(itemAt(samples, samples.length - 1).times, itemAt(samples, 0).times),
      });
    }
    return curves;
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
