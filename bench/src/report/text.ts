import type { Costs } from "../costs/baseline.ts";
import { mebibytes, milliseconds, quartiles, short } from "./numbers.ts";
import { type Comparison, type Curve, isMet, type Limit, type Results, type RowResult } from "./results.ts";

type Line = readonly string[];

/** Returns one row of the results as tables for a terminal: a line for each comparison, with everything that was measured. */
export function rowText(row: RowResult): string {
  const parts = [`${row.title}\n`];
  if (row.limits !== undefined) parts.push(aligned(row.limits.map(limitLine)));
  if (row.comparisons !== undefined) parts.push(aligned([HEAD, ...row.comparisons.flatMap(linesOf)]));
  if (row.costs !== undefined) parts.push(aligned(costLines(row.costs)));
  if (row.curves !== undefined) parts.push(aligned(row.curves.flatMap(curveLines)));
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

const HEAD: Line = ["data", "operation", "against", "ratio", "quartiles", "goal", "", "ms", "its ms", "MiB", "its MiB"];

function linesOf({ data, operation, qdb, peers }: Comparison): Line[] {
  return peers.map((peer): Line => {
    if ("missing" in peer) return [data, operation, peer.label, peer.missing];
    const goal =
      peer.goal === undefined
        ? ["", ""]
        : [short(peer.goal), isMet({ ratio: peer.ratio, goal: peer.goal }) ? "met" : "not met"];
    return [
      data,
      operation,
      peer.label,
      short(peer.ratio.median),
      quartiles(peer.ratio),
      ...goal,
      milliseconds(qdb.time.median),
      milliseconds(peer.time.median),
      mebibytes(qdb.peak),
      mebibytes(peer.peak),
    ];
  });
}

function curveLines({ operation, quantity, points, growth, goal }: Curve): Line[] {
  const lines = points.map(({ amount, time, peak }): Line => {
    return [operation, `${short(amount)} ${quantity}`, `${milliseconds(time.median)} ms`, `${mebibytes(peak)} MiB`];
  });
  const verdict = isMet({ ratio: growth, goal }) ? "met" : "not met";
  return [
    ...lines,
    [operation, `growth of time: ${short(growth.median)} (${quartiles(growth)})`, `goal ${short(goal)}`, verdict],
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
