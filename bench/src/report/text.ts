import type { Costs } from "../costs/baseline.ts";
import { mebibytes, milliseconds, quartiles, short } from "./numbers.ts";
import {
  type Comparison,
  type Curve,
  type DamageFound,
  isConstant,
  isMet,
  type Limit,
  type MemoryUse,
  memoryRatio,
  type Results,
  type RowResult,
} from "./results.ts";

type Line = readonly string[];

/** Returns one row of the results as tables for a terminal: a line for each comparison, with everything that was measured. */
export function rowText(row: RowResult): string {
  const parts = [`${row.title}\n`];
  if (row.missing !== undefined) parts.push(aligned([[row.missing]]));
  if (row.limits !== undefined) parts.push(aligned(row.limits.map(limitLine)));
  if (row.comparisons !== undefined) parts.push(aligned([HEAD, ...row.comparisons.flatMap(linesOf)]));
  if (row.costs !== undefined) parts.push(aligned(costLines(row.costs)));
  if (row.curves !== undefined) parts.push(aligned(row.curves.flatMap(curveLines)));
  if (row.memory !== undefined) parts.push(aligned(memoryLines(row.memory)));
  if (row.damage !== undefined) parts.push(aligned(damageLines(row.damage)));
  return parts.join("");
}

function limitLine(limit: Limit): Line {
  if ("missing" in limit) return [limit.name, limit.missing];
  return [limit.name, `${short(limit.value)} ${limit.unit}`];
}

/** Says on what was measured. */
export function machineText({ node, v8, processor, quick }: Results): string {
  const size = quick ? "; small data, few rounds: no figure counts" : "";
  return `Node.js ${node} (V8 ${v8}), ${processor}${size}`;
}

const HEAD: Line = [
  ...["data", "operation", "against", "ratio", "quartiles", "goal", "", "ms", "its ms", "MiB", "its MiB"],
  ...["processor", "memory", "goal", ""],
];

function linesOf({ data, operation, qdb, peers }: Comparison): Line[] {
  return peers.map((peer): Line => {
    if ("missing" in peer) return [data, operation, peer.label, peer.missing];
    const { label, ratio, goal, memoryGoal, processorRatio } = peer;
    const memory = memoryRatio(qdb, peer);
    return [
      data,
      operation,
      label,
      short(ratio.median),
      quartiles(ratio),
      ...verdict(ratio.median, goal),
      milliseconds(qdb.time.median),
      milliseconds(peer.time.median),
      mebibytes(qdb.peak),
      mebibytes(peer.peak),
      // Libraries are measured by the less of both times, and none of them has a goal for memory.
      ...(processorRatio === undefined
        ? []
        : [
            short(processorRatio.median),
            memory === undefined ? "?" : short(memory),
            ...(memory === undefined ? [] : verdict(memory, memoryGoal)),
          ]),
    ];
  });
}

/** A goal, and whether it is met. */
function verdict(value: number, goal: number | undefined): Line {
  return goal === undefined ? ["", ""] : [short(goal), value <= goal ? "met" : "not met"];
}

/** Returns memory as lines, the first of them with the sizes of bitmaps. */
export function memoryLines(uses: readonly MemoryUse[]): Line[] {
  const amounts = [...new Set(uses.flatMap(({ points }) => points.map(({ amount }) => amount)))].sort((a, b) => a - b);
  const cell = ({ points }: MemoryUse, amount: number): string => {
    const point = points.find((one) => one.amount === amount);
    if (point === undefined) return "";
    return "missing" in point ? point.missing : mebibytes(point.peak);
  };
  return [
    ["MiB of one bitmap", ...amounts.map(String), "constant"],
    ...uses.map((use) => [
      use.operation,
      ...amounts.map((amount) => cell(use, amount)),
      isConstant(use) ? "yes" : "no",
    ]),
  ];
}

/** Returns what was found of damage as lines. */
export function damageLines(found: readonly DamageFound[]): Line[] {
  return [
    ["command", "exit code", "it says"],
    ...found.map(({ operation, exit, code }) => [operation, String(exit), code]),
  ];
}

function curveLines({ operation, quantity, points, growth, goal }: Curve): Line[] {
  const lines = points.map(({ amount, time, peak }): Line => {
    return [operation, `${short(amount)} ${quantity}`, `${milliseconds(time.median)} ms`, `${mebibytes(peak)} MiB`];
  });
  const outcome = isMet({ ratio: growth, goal }) ? "met" : "not met";
  return [
    ...lines,
    [operation, `growth of time: ${short(growth.median)} (${quartiles(growth)})`, `goal ${short(goal)}`, outcome],
  ];
}

/** Returns costs as lines, the first of them with the names of the numbers. */
export function costLines(costs: Costs): Line[] {
  return [
    ["operation", "calls", "reads", "bytes read", "writes", "bytes written", "fsyncs"],
    ...Object.entries(costs).map(([operation, { calls, reads, bytesRead, writes, bytesWritten, fsyncs }]) => [
      operation,
      ...[calls, reads, bytesRead, writes, bytesWritten, fsyncs].map(String),
    ]),
  ];
}

function aligned(lines: readonly Line[]): string {
  const widths: number[] = [];
  for (const line of lines)
    for (const [at, text] of line.entries()) widths[at] = Math.max(widths[at] ?? 0, text.length);
  const padded = (line: Line): string => line.map((text, at) => text.padEnd(widths[at] ?? 0)).join("  ");
  return lines.map((line) => `  ${padded(line).trimEnd()}\n`).join("");
}
