// SPDX-License-Identifier: CC0-1.0 OR MIT
// The result of a mutation run: the score in total, by room and by file, and the mutants that no vector noticed.
import { readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import type { MutantResult } from "@stryker-mutator/api/core";

/** The lowest score in percent with which `pnpm mutation` passes. */
export const LEAST_SCORE = 75;

/** Numbers of mutants by result. The score is the percentage of noticed mutants among all that count. */
export interface Counts {
  readonly score: number;
  readonly killed: number;
  /** Did not end. Counts as noticed. */
  readonly timeout: number;
  readonly survived: number;
  /** In code that no vector reaches. Counts as not noticed. */
  readonly no_coverage: number;
  /** Left out by the ignorer. */
  readonly ignored: number;
  /** Broke the test process. Does not count. */
  readonly error: number;
}

/** Counts mutants. */
export function countsOf(mutants: readonly MutantResult[]): Counts {
  const count = (...statuses: readonly MutantResult["status"][]): number =>
    mutants.filter(({ status }) => statuses.includes(status)).length;
  const noticed = count("Killed", "Timeout");
  const all = noticed + count("Survived", "NoCoverage");
  return {
    score: all === 0 ? 100 : Math.floor((10_000 * noticed) / all) / 100,
    killed: count("Killed"),
    timeout: count("Timeout"),
    survived: count("Survived"),
    no_coverage: count("NoCoverage"),
    ignored: count("Ignored"),
    error: count("RuntimeError", "CompileError", "Pending"),
  };
}

/** Groups mutants by a key of their file, sorted by key. */
function grouped(mutants: readonly MutantResult[], key: (path: string) => string): [string, MutantResult[]][] {
  const groups = new Map<string, MutantResult[]>();
  for (const mutant of mutants) {
    const name = key(mutant.fileName);
    groups.set(name, [...(groups.get(name) ?? []), mutant]);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The room of a file: its folder. */
const roomOf = (path: string): string => basename(join(path, ".."));

/** Counts by room. */
export function roomsOf(mutants: readonly MutantResult[]): Record<string, Counts> {
  return Object.fromEntries(grouped(mutants, roomOf).map(([room, group]) => [room, countsOf(group)]));
}

function line(name: string, counts: Counts): string {
  const { score, killed, timeout, survived, no_coverage, ignored, error } = counts;
  const numbers = [killed, timeout, survived, no_coverage, ignored, error].map((number) => `${number}`.padStart(8));
  return `${name.padEnd(28)}${score.toFixed(2).padStart(7)} ${numbers.join("")}\n`;
}

/** The table of scores, and one line for each mutant that no vector noticed. */
export function reportText(mutants: readonly MutantResult[], root: string): string {
  let text = `${" ".repeat(28)}  score   killed timeout survive  uncov. ignored   error\n`;
  text += line("all", countsOf(mutants));
  for (const [room, group] of grouped(mutants, roomOf)) {
    text += line(room, countsOf(group));
    for (const [path, file] of grouped(group, (path) => path)) text += line(`  ${basename(path)}`, countsOf(file));
  }
  for (const [path, group] of grouped(mutants, (path) => path)) {
    const left = group.filter(({ status }) => status === "Survived" || status === "NoCoverage");
    if (left.length === 0) continue;
    const source = readFileSync(path, "utf8").split("\n");
    text += `\n${relative(root, path)}\n${left
      .sort(byPlace)
      .map((mutant) => mutantLine(mutant, source))
      .join("")}`;
  }
  return text;
}

function byPlace({ location: { start: a } }: MutantResult, { location: { start: b } }: MutantResult): number {
  return a.line - b.line || a.column - b.column;
}

function mutantLine({ location, replacement = "", status }: MutantResult, source: readonly string[]): string {
  const { start, end } = location;
  const [first = ""] = source.slice(start.line - 1, start.line);
  const before =
    start.line === end.line ? first.slice(start.column - 1, end.column - 1) : `${first.slice(start.column - 1)} ...`;
  const short = (text: string): string => {
    const flat = text.replaceAll(/\s+/g, " ").trim();
    return flat.length > 90 ? `${flat.slice(0, 90)}...` : flat;
  };
  const reached = status === "NoCoverage" ? " (not reached)" : "";
  return `  ${start.line}:${start.column} ${short(before)} -> ${short(replacement)}${reached}\n`;
}

/** Identifies a mutant in two runs over the same sources. */
export function keyOf({ fileName, location: { start, end }, mutatorName, replacement }: MutantResult): string {
  const place = [start.line, start.column, end.line, end.column].join(":");
  return [fileName, place, mutatorName, replacement].join("\0");
}

/** The mutants that an earlier run noticed, by key. @throws {Error} when that run had other sources */
export function noticedIn(path: string, sources: string): Map<string, MutantResult> {
  const earlier = JSON.parse(readFileSync(path, "utf8")) as { sources: string; mutants: MutantResult[] };
  if (earlier.sources !== sources) throw new Error(`${path} holds the results of other sources; run all of it again`);
  const noticed = earlier.mutants.filter(({ status }) => status === "Killed" || status === "Timeout");
  return new Map(noticed.map((mutant) => [keyOf(mutant), mutant]));
}
