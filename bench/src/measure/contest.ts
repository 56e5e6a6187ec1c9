import { itemAt } from "@qdb/format/internal";
import type { Child, Run } from "./child.ts";

/** A contestant and its operation. */
export interface Entrant {
  /** What the table calls it. */
  readonly label: string;
  readonly child: Child;
  readonly operation: string;
}

/** What was measured of an entrant: a time for each round, in nanoseconds. */
export interface Sample {
  readonly label: string;
  readonly times: readonly number[];
}

/** How often an operation runs. */
export interface Effort {
  /** Rounds that are counted, at least. */
  readonly least: number;
  /** Rounds that are counted, at most. */
  readonly most: number;
  /** No further round is begun after this time, in seconds. */
  readonly seconds: number;
}

/** How a contest is run. */
export interface ContestOptions extends Effort {
  /** Whether all have the same data, and so the same answers (default true). */
  readonly isSameData?: boolean;
}

/**
 * Runs the operations in turn, A B C A B C …, so that all are measured in the same state of the machine. The first rounds are not counted:
 * at least one, and others for a fifth of the time, since code that ran a few times is not compiled yet.
 * @throws {Error} if an operation fails, or if the answers of a round are not the same
 */
export async function contest(entrants: readonly Entrant[], options: ContestOptions): Promise<Sample[]> {
  const { isSameData = true, least, most, seconds } = options;
  const times = entrants.map((): number[] => []);
  const start = performance.now();
  do await round(entrants, isSameData);
  while (performance.now() < start + seconds * 200);
  const end = performance.now() + seconds * 1000;
  for (let count = 0; count < least || (count < most && performance.now() < end); count++) {
    const runs = await round(entrants, isSameData);
    for (const [at, { nanoseconds }] of runs.entries()) itemAt(times, at).push(nanoseconds);
  }
  return entrants.map(({ label }, at) => ({ label, times: itemAt(times, at) }));
}

/** Answer of an operation that has none to compare. */
const NO_ANSWER = "-";

async function round(entrants: readonly Entrant[], isSameData: boolean): Promise<Run[]> {
  const runs: Run[] = [];
  for (const { child, operation } of entrants) runs.push(await child.run(operation));
  if (isSameData) requireSameAnswers(entrants, runs);
  return runs;
}

/** Runs operations once, for their answers. @throws {Error} if they are not the same */
export async function compareAnswers(entrants: readonly Entrant[]): Promise<void> {
  await round(entrants, true);
}

function requireSameAnswers(entrants: readonly Entrant[], runs: readonly Run[]): void {
  const answers = runs.flatMap(({ answer }, at) =>
    answer === NO_ANSWER ? [] : [{ answer, name: `${itemAt(entrants, at).label} ${itemAt(entrants, at).operation}` }],
  );
  const first = answers[0];
  const other = answers.find(({ answer }) => answer !== first?.answer);
  if (first !== undefined && other !== undefined)
    throw new Error(`${first.name} gives ${first.answer}, ${other.name} gives ${other.answer}`);
}
