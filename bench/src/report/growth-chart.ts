import { short } from "./numbers.ts";
import type { Curve, Results } from "./results.ts";
import { COLORS, Drawing, decades, logarithmic } from "./svg.ts";

const PANEL = 400;
const HEIGHT = 330;
const LEFT = 55;
const TOP = 50;
const PLOT = { width: 320, height: 220 };
const GRID = "#d0d7de";

/** Draws how times grow: a panel for each quantity, a line for each operation, each in multiples of its first time, on logarithmic axes. */
export function growthChart({ rows }: Results): string {
  const curves = rows.flatMap(({ curves = [] }) => curves);
  const quantities = [...new Set(curves.map(({ quantity }) => quantity))];
  const drawing = new Drawing("How the time of QDB grows", PANEL * quantities.length, HEIGHT);
  for (const [at, quantity] of quantities.entries())
    panel(
      drawing,
      at * PANEL,
      quantity,
      curves.filter((curve) => curve.quantity === quantity),
    );
  return drawing.toString();
}

function panel(drawing: Drawing, left: number, quantity: string, curves: readonly Curve[]): void {
  const amounts = curves[0]?.points.map(({ amount }) => amount) ?? [];
  const first = amounts[0] ?? 1;
  const last = amounts.at(-1) ?? 1;
  const times = curves.flatMap(({ points }) => points.map(({ time }) => time.median / (points[0]?.time.median ?? 1)));
  const low = Math.min(1, ...times);
  const high = Math.max(last / first, ...times);
  const x = (amount: number): number => logarithmic(amount, first, last, left + LEFT, PLOT.width);
  const y = (time: number): number => logarithmic(time, low, high, TOP + PLOT.height, -PLOT.height);
  for (const value of decades(low, high)) {
    drawing.line(
      [
        [x(first), y(value)],
        [x(last), y(value)],
      ],
      GRID,
    );
    drawing.text(x(first) - 6, y(value) + 4, short(value), "end");
  }
  for (const amount of amounts) {
    drawing.line(
      [
        [x(amount), TOP],
        [x(amount), TOP + PLOT.height],
      ],
      GRID,
    );
    drawing.text(x(amount), TOP + PLOT.height + 16, short(amount), "middle");
  }
  drawing.text(left + LEFT + PLOT.width / 2, TOP + PLOT.height + 34, quantity, "middle");
  drawing.text(left + 10, 16, "time, in multiples of the first; grey: time that grows as the work does");
  drawing.line(
    [
      [x(first), y(1)],
      [x(last), y(last / first)],
    ],
    "#57606a",
  );
  for (const [at, { operation, points }] of curves.entries()) {
    const color = COLORS[at % COLORS.length] ?? COLORS[0];
    const start = points[0]?.time.median ?? 1;
    const line = points.map(({ amount, time }): [number, number] => [x(amount), y(time.median / start)]);
    drawing.line(line, color, 2);
    for (const [dotX, dotY] of line) drawing.dot(dotX, dotY, color);
    drawing.dot(left + LEFT + 4 + at * 68, 33, color);
    drawing.text(left + LEFT + 11 + at * 68, 37, operation);
  }
}
