// `pnpm bench`: measures everything, prints tables, and writes results, charts and the table of the documentation. README.md has the options.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { grown, readBaseline, warningOf, writeBaseline } from "./costs/baseline.ts";
import { Lab } from "./measure/lab.ts";
import { BENCH, BUILT } from "./paths.ts";
import { growthChart } from "./report/growth-chart.ts";
import { withTable } from "./report/markdown.ts";
import { ratioChart } from "./report/ratio-chart.ts";
import type { Results, RowResult } from "./report/results.ts";
import { machineText, rowText } from "./report/text.ts";
import type { Row } from "./rows/row.ts";
import { ROWS } from "./rows/rows.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    quick: { type: "boolean", default: false },
    update: { type: "boolean", default: false },
  },
});

function chosen(ids: readonly string[] | undefined): readonly Row[] {
  const unknown = ids?.find((id) => ROWS.every((row) => row.id !== id));
  if (unknown !== undefined) {
    console.error(`there is no row ${unknown}; there are ${ROWS.map(({ id }) => id).join(", ")}`);
    process.exit(2);
  }
  return ids === undefined ? ROWS : ROWS.filter(({ id }) => ids.includes(id));
}

async function measure(rows: readonly Row[]): Promise<Results> {
  const lab = new Lab({ quick: values.quick, say: (text) => console.error(text) });
  const { version, v8 } = lab.node;
  const machine = { node: version, v8, processor: cpus()[0]?.model ?? "unknown processor", quick: values.quick };
  const results: RowResult[] = [];
  try {
    console.log(machineText({ ...machine, rows: [] }));
    for (const { id, title, measure } of rows) {
      const result = { id, title, ...(await measure(lab)) };
      results.push(result);
      console.log(`\n${rowText(result)}`);
    }
  } finally {
    lab.close();
  }
  return { ...machine, rows: results };
}

/** Only a whole run becomes part of the documentation. */
function writeResults(results: Results): void {
  const isWhole = !values.quick && values.only === undefined;
  const folder = isWhole ? BENCH : BUILT;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "results.json"), `${JSON.stringify(results, undefined, 1)}\n`);
  if (results.rows.some(({ comparisons }) => comparisons !== undefined))
    writeFileSync(join(folder, "ratios.svg"), ratioChart(results));
  if (results.rows.some(({ curves }) => curves !== undefined))
    writeFileSync(join(folder, "growth.svg"), growthChart(results));
  if (isWhole) {
    const readme = join(BENCH, "README.md");
    writeFileSync(readme, withTable(readFileSync(readme, "utf8"), results));
  }
  console.log(`\nWritten: ${join(folder, "results.json")} and the charts beside it`);
}

/** Compares the counted costs with those that are committed, or puts them in their place. */
function compareCosts({ rows }: Results): void {
  for (const { costs } of rows) {
    if (costs === undefined) continue;
    const warning = warningOf(grown(readBaseline(), costs));
    if (values.update) writeBaseline(costs);
    else if (warning !== undefined) console.log(`\n${warning}`);
  }
}

const results = await measure(chosen(values.only));
compareCosts(results);
writeResults(results);
