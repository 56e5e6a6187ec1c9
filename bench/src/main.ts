// `pnpm bench`: measures everything, prints tables, and writes results, charts and the table of the documentation. README.md has the options.
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { grown, readBaseline, warningOf, writeBaseline } from "./costs/baseline.ts";
import { Lab } from "./measure/lab.ts";
import { BUILT } from "./paths.ts";
import { PUBLISHED, publish, writeResults } from "./report/publish.ts";
import type { Results, RowResult } from "./report/results.ts";
import { machineText, rowText } from "./report/text.ts";
import type { Row } from "./rows/row.ts";
import { chosenRows } from "./rows/rows.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    quick: { type: "boolean", default: false },
    update: { type: "boolean", default: false },
    json: { type: "string" },
  },
});

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

/** Where the results are written. Only a whole run becomes part of the documentation. */
function resultsPath(): string {
  if (values.json !== undefined) return resolve(values.json);
  const isWhole = !values.quick && values.only === undefined;
  return isWhole ? PUBLISHED : join(BUILT, "results.json");
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

let rows: readonly Row[];
try {
  rows = chosenRows(values.only);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
const results = await measure(rows);
compareCosts(results);
const path = resultsPath();
writeResults(path, results);
for (const written of [path, ...publish(path)]) console.log(`Written: ${written}`);
