import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BENCH } from "../paths.ts";
import type { Cost } from "./counting-store.ts";

const FILE = join(BENCH, "costs.json");

/** Costs by operation. */
export type Costs = Readonly<Record<string, Cost>>;

/** A number that is not what it was. */
export interface Change {
  readonly operation: string;
  readonly what: keyof Cost;
  readonly before: number;
  readonly now: number;
}

/** Returns the costs that are committed. */
export function readBaseline(): Costs {
  return JSON.parse(readFileSync(FILE, "utf8"));
}

/** Makes costs those that others are compared with. */
export function writeBaseline(costs: Costs): void {
  writeFileSync(FILE, `${JSON.stringify(costs, undefined, 2)}\n`);
}

/** Returns the numbers that have grown. An operation that had no costs before has all of them from 0. */
export function grown(before: Costs, now: Costs): Change[] {
  return Object.entries(now).flatMap(([operation, cost]) =>
    Object.entries(cost).flatMap(([key, value]): Change[] => {
      const what = key as keyof Cost;
      const old = before[operation]?.[what] ?? 0;
      return value > old ? [{ operation, what, before: old, now: value }] : [];
    }),
  );
}

/** Says what has grown, as a warning for people and for GitHub; undefined if nothing has. */
export function warningOf(changes: readonly Change[]): string | undefined {
  if (changes.length === 0) return undefined;
  const lines = changes.map(({ operation, what, before, now }) => `${operation}: ${what} ${before} → ${now}`);
  const advice = "If that is meant: pnpm bench --only costs --update";
  return [...lines.map((line) => `::warning::a counted cost has grown: ${line}`), advice].join("\n");
}
