import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BENCH } from "../paths.ts";
import { growthChart } from "./growth-chart.ts";
import { withTable } from "./markdown.ts";
import { ratioChart } from "./ratio-chart.ts";
import type { Results } from "./results.ts";

/** The results that the documentation shows. */
export const PUBLISHED = join(BENCH, "results.json");

/** Writes results as JSON. Digits that say nothing are left out. */
export function writeResults(path: string, results: Results): void {
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(results, rounded, 1)}\n`);
}

/**
 * Draws the charts of results beside their JSON. The results that the documentation shows also become its table. Returns the paths of the
 * files written.
 * @throws {Error} if the file cannot be read or has no results
 */
export function publish(path: string): string[] {
  const results: Results = JSON.parse(readFileSync(path, "utf8"));
  if (!Array.isArray(results.rows)) throw new Error(`${path} has no results of pnpm bench`);
  const written: string[] = [];
  const write = (file: string, text: string): void => {
    writeFileSync(file, text);
    written.push(file);
  };
  if (results.rows.some(({ comparisons }) => comparisons !== undefined))
    write(join(dirname(path), "ratios.svg"), ratioChart(results));
  if (results.rows.some(({ curves }) => curves !== undefined))
    write(join(dirname(path), "growth.svg"), growthChart(results));
  if (resolve(path) === PUBLISHED) {
    const readme = join(BENCH, "README.md");
    write(readme, withTable(readFileSync(readme, "utf8"), results));
  }
  return written;
}
