import { itemAt } from "@qdb/format/internal";
import type { Spread } from "../measure/statistics.ts";
import { mebibytes, quartiles, short } from "./numbers.ts";
import {
  type Comparison,
  type Curve,
  isMet,
  type Measured,
  memoryRatio,
  type Peer,
  type Results,
  type RowResult,
} from "./results.ts";
import { costLines, damageLines, machineText, memoryLines } from "./text.ts";

const BEGIN = "<!-- begin of the table that pnpm bench makes -->";
const END = "<!-- end of the table -->";

/** Puts the table of results into a document, between its two marks. @throws {Error} if they are not there */
export function withTable(document: string, results: Results): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error("the document has no place for the table");
  return `${document.slice(0, begin + BEGIN.length)}\n\n${markdownOf(results)}\n${document.slice(end)}`;
}

/** Returns the results as Markdown: ratios, and no times, which are those of one machine. */
export function markdownOf(results: Results): string {
  const rows = results.rows.filter(({ limits }) => limits === undefined);
  const charts = [
    ...(rows.some(({ comparisons }) => comparisons !== undefined) ? ["![All ratios](ratios.svg)\n\n"] : []),
    ...(rows.some(({ curves }) => curves !== undefined) ? ["![How the time grows](growth.svg)\n\n"] : []),
  ];
  return `${machineText(results)}.\n\n${charts.join("")}${rows.map(rowMarkdown).join("\n")}`;
}

function rowMarkdown({ title, comparisons = [], curves = [], costs, memory, damage, missing }: RowResult): string {
  const tables = [
    ...(comparisons.length === 0 ? [] : [comparisonTable(comparisons)]),
    ...curveTables(curves),
    ...(costs === undefined ? [] : [table(costLines(costs))]),
    ...(memory === undefined ? [] : [table(memoryLines(memory).map(boldIfNot))]),
    ...(damage === undefined ? [] : [table(damageLines(damage))]),
    ...(missing === undefined ? [] : [`${missing}\n`]),
  ];
  return `### ${title}\n\n${tables.join("\n")}`;
}

function comparisonTable(comparisons: readonly Comparison[]): string {
  const labels = [...new Set(comparisons.flatMap(({ peers }) => peers.map(({ label }) => label)))];
  const lines = comparisons.map(({ data, operation, qdb, peers }) => {
    const cells = labels.map((label) =>
      cellOf(
        qdb,
        peers.find((peer) => peer.label === label),
      ),
    );
    return [data, operation, ...cells, mebibytes(qdb.peak)];
  });
  return table([["data", "operation", ...labels, "MiB of QDB"], ...lines]);
}

function cellOf(qdb: Measured, peer: Peer | undefined): string {
  if (peer === undefined) return "";
  if ("missing" in peer) return peer.missing;
  const { processorRatio } = peer;
  const processor = processorRatio === undefined ? "" : `, processor ${short(processorRatio.median)}`;
  return `${ratioText(peer)}${processor}, ${mebibytes(peer.peak)} MiB${memoryText(qdb, peer)}`;
}

/** The ratio of memory, if there is a goal for it. */
function memoryText(qdb: Measured, peer: Exclude<Peer, { readonly missing: string }>): string {
  const { memoryGoal } = peer;
  const ratio = memoryRatio(qdb, peer);
  if (memoryGoal === undefined || ratio === undefined) return "";
  return ratio <= memoryGoal
    ? `: ${short(ratio)} ≤ ${short(memoryGoal)}`
    : `: **${short(ratio)}** > ${short(memoryGoal)}`;
}

/** A line of which the last word is bold if it is *no*. */
function boldIfNot(line: readonly string[]): readonly string[] {
  return line.at(-1) === "no" ? [...line.slice(0, -1), "**no**"] : line;
}

function ratioText({ ratio, goal }: { readonly ratio: Spread; readonly goal?: number }): string {
  const spread = `(${quartiles(ratio)})`;
  if (goal === undefined) return `${short(ratio.median)} ${spread}`;
  if (isMet({ ratio, goal })) return `${short(ratio.median)} ${spread} ≤ ${short(goal)}`;
  return `**${short(ratio.median)}** ${spread} > ${short(goal)}`;
}

/** A table for each quantity: times as multiples of the first one. */
function curveTables(curves: readonly Curve[]): string[] {
  return [...new Set(curves.map(({ quantity }) => quantity))].map((quantity) => {
    const group = curves.filter((curve) => curve.quantity === quantity);
    const amounts = group[0]?.points.map(({ amount }) => short(amount)) ?? [];
    const lines = group.map(({ operation, points, growth, goal }) => {
      const first = itemAt(points, 0).time.median;
      const last = ratioText({ ratio: growth, goal });
      return [operation, ...points.slice(0, -1).map(({ time }) => short(time.median / first)), last];
    });
    return table([
      [quantity, ...amounts],
      ...lines,
      ["most memory, MiB", ...amounts.map((_, at) => peakAt(group, at))],
    ]);
  });
}

/** The most memory of all operations at a point. */
function peakAt(curves: readonly Curve[], at: number): string {
  const peaks = curves.flatMap(({ points }) => itemAt(points, at).peak ?? []);
  return mebibytes(peaks.length === 0 ? undefined : Math.max(...peaks));
}

function table([head = [], ...lines]: readonly (readonly string[])[]): string {
  const rows = [head, head.map(() => "---"), ...lines];
  return rows.map((row) => `| ${row.join(" | ")} |\n`).join("");
}
