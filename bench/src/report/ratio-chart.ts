import { short } from "./numbers.ts";
import { type Comparison, isMet, type Results } from "./results.ts";
import { COLORS, Drawing, decades, logarithmic } from "./svg.ts";

const LEFT = 330;
const WIDTH = 560;
const LINE = 15;
const TOP = 54;
const RIGHT = 30;
const GRID = "#d0d7de";
const GOAL = "#1f2328";

/**
 * Draws all ratios: a line for each operation, a dot for each contestant with its quartiles, a stroke for each goal.
 * Left of 1, QDB is faster. The dot of one whose goal was not reached is empty.
 */
export function ratioChart({ rows }: Results): string {
  const groups = rows.filter(({ comparisons }) => comparisons !== undefined);
  const all = groups.flatMap(({ comparisons = [] }) => comparisons);
  const ratios = all.flatMap(({ peers }) => peers.flatMap((peer) => ("missing" in peer ? [] : [peer.ratio.median])));
  const low = 10 ** Math.floor(Math.log10(Math.min(...ratios, 0.9)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...ratios, 1.1)));
  const height = TOP + (all.length + 3 * groups.length) * LINE + 10;
  const drawing = new Drawing("Time of QDB divided by the time of others", LEFT + WIDTH + RIGHT, height);
  const x = (value: number): number => logarithmic(value, low, high, LEFT, WIDTH);
  for (const value of decades(low, high)) {
    drawing.line(
      [
        [x(value), TOP - 12],
        [x(value), height - 8],
      ],
      value === 1 ? "#57606a" : GRID,
    );
    drawing.text(x(value), TOP - 16, short(value), "middle");
  }
  drawing.text(
    10,
    16,
    "Time of QDB divided by the time of each; upright strokes are goals, empty dots have not reached theirs",
  );
  let y = TOP;
  for (const { title, comparisons = [] } of groups) {
    const labels = [...new Set(comparisons.flatMap(({ peers }) => peers.map(({ label }) => label)))];
    const color = (label: string): string => COLORS[labels.indexOf(label) % COLORS.length] ?? COLORS[0];
    y += 1.5 * LINE;
    drawing.text(10, y - LINE / 2, title, "start", "#57606a");
    legend(drawing, labels, y + LINE / 2, color);
    y += LINE;
    for (const comparison of comparisons) {
      drawing.text(LEFT - 10, y + 8, `${comparison.data}: ${comparison.operation}`, "end");
      dots(drawing, comparison, y + 4, x, color);
      y += LINE;
    }
    y += LINE / 2;
  }
  return drawing.toString();
}

function legend(drawing: Drawing, labels: readonly string[], y: number, color: (label: string) => string): void {
  let x = LEFT;
  for (const label of labels) {
    drawing.dot(x, y - 4, color(label));
    drawing.text(x + 7, y, label);
    x += 24 + label.length * 7;
  }
}

function dots(
  drawing: Drawing,
  { peers }: Comparison,
  y: number,
  x: (value: number) => number,
  color: (label: string) => string,
): void {
  const goals = new Set<number>();
  for (const peer of peers) {
    if ("missing" in peer) continue;
    const { goal, label, ratio } = peer;
    // Goals of several contestants are often the same.
    if (goal !== undefined && !goals.has(goal))
      drawing.line(
        [
          [x(goal), y - 5],
          [x(goal), y + 5],
        ],
        GOAL,
        1.5,
      );
    if (goal !== undefined) goals.add(goal);
    drawing.line(
      [
        [x(ratio.low), y],
        [x(ratio.high), y],
      ],
      color(label),
      1.5,
    );
    const isMissed = goal !== undefined && !isMet({ ratio, goal });
    if (isMissed) drawing.ring(x(ratio.median), y, color(label));
    else drawing.dot(x(ratio.median), y, color(label));
  }
}
