import type { Child, Run } from "./child.ts";

/** A contestant and its operation. */
export interface Entrant {
  /** What the table calls it. */
  readonly label: string;
  readonly child: Child;
  readonly operation: string;
  /** Whether it is left out if it fails, instead of the whole run: another library, which may not be able to do it. */
  readonly mayFail?: boolean;
}

/** What was measured of an entrant. */
export interface Sample {
  readonly label: string;
  /** A time for each round, in nanoseconds. */
  readonly times: readonly number[];
  /** Why it was left out. */
  readonly failed?: string;
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
  /** An operation that all do once before, for its answer alone. */
  readonly check?: string;
  /** Whether all have the same data, and so the same answers (default true). */
  readonly isSameData?: boolean;
}

/**
 * Runs the operations in turn, A B C A B C …, so that all are measured in the same state of the machine. The first rounds are not counted:
 * at least one, and others for a fifth of the time, since code that ran a few times is not compiled yet.
 * @throws {Error} if an operation fails, or if the answers of a round are not the same
 */
export async function contest(entrants: readonly Entrant[], options: ContestOptions): Promise<Sample[]> {
  const { check, isSameData = true, least, most, seconds } = options;
  const all = entrants.map((entrant) => new Participant(entrant));
  if (check !== undefined) requireSameAnswers(await round(all, check));
  const start = performance.now();
  const next = async (): Promise<Map<Participant, Run>> => {
    const runs = await round(all);
    if (isSameData) requireSameAnswers(runs);
    return runs;
  };
  do await next();
  while (performance.now() < start + seconds * 200);
  const end = performance.now() + seconds * 1000;
  for (let count = 0; count < least || (count < most && performance.now() < end); count++)
    for (const [participant, { nanoseconds }] of await next()) participant.times.push(nanoseconds);
  return all.map(({ sample }) => sample);
}

/** An entrant, with what was measured of it so far. */
class Participant {
  readonly entrant: Entrant;
  readonly times: number[] = [];
  failed: string | undefined;

  constructor(entrant: Entrant) {
    this.entrant = entrant;
  }

  get sample(): Sample {
    const { label } = this.entrant;
    return this.failed === undefined ? { label, times: this.times } : { label, times: [], failed: this.failed };
  }
}

/** Answer of an operation that has none to compare. */
const NO_ANSWER = "-";

/** Runs each operation once, or another one instead, but none of those that have failed. */
async function round(all: readonly Participant[], operation?: string): Promise<Map<Participant, Run>> {
  const runs = new Map<Participant, Run>();
  for (const participant of all) {
    if (participant.failed !== undefined) continue;
    const { entrant } = participant;
    try {
      runs.set(participant, await entrant.child.run(operation ?? entrant.operation));
    } catch (error) {
      if (entrant.mayFail !== true) throw error;
      participant.failed = error instanceof Error ? error.message : String(error);
    }
  }
  return runs;
}

function requireSameAnswers(runs: ReadonlyMap<Participant, Run>): void {
  const answers = [...runs].filter(([, { answer }]) => answer !== NO_ANSWER);
  const [first, ...others] = answers.map(([{ entrant }, { answer }]) => {
    return { answer, name: `${entrant.label} ${entrant.operation}` };
  });
  const other = others.find(({ answer }) => answer !== first?.answer);
  if (first !== undefined && other !== undefined)
    throw new Error(`${first.name} gives ${first.answer}, ${other.name} gives ${other.answer}`);
}
