import type { Child, Run } from "./child.ts";

/** A contestant and its operation. */
export interface Entrant {
  /** What the table calls it. */
  readonly label: string;
  readonly child: Child;
  readonly operation: string;
  /** Whether it is left out if it fails or gives a wrong answer, instead of the whole run: another library, which may not be able to do it. */
  readonly mayFail?: boolean;
}

/** What was measured of an entrant. */
export interface Sample {
  readonly label: string;
  /** A time for each round, in nanoseconds. */
  readonly times: readonly number[];
  /** The most memory that its process had meanwhile, in bytes; absent if it is not known. */
  readonly peak?: number;
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
  /** Whether each does once before what its operation with `-check` at the end of the name does, for its answer alone (default false). */
  readonly hasCheck?: boolean;
  /** Whether all have the same data, and so the same answers (default true). */
  readonly isSameData?: boolean;
}

/**
 * Runs the operations in turn, A B C A B C …, so that all are measured in the same state of the machine. The first rounds are not counted:
 * at least one, and others for a fifth of the time, since code that ran a few times is not compiled yet.
 * @throws {Error} if an operation fails, or if the answers of a round are not the same and it is not clear which library is wrong
 */
export async function contest(entrants: readonly Entrant[], options: ContestOptions): Promise<Sample[]> {
  const { hasCheck = false, isSameData = true, least, most, seconds } = options;
  const all = entrants.map((entrant) => new Participant(entrant));
  if (hasCheck) leaveOutWrong(await round(all, "-check"));
  for (const { entrant } of all) entrant.child.resetPeak();
  const start = performance.now();
  const next = async (): Promise<Map<Participant, Run>> => {
    const runs = await round(all);
    if (isSameData) leaveOutWrong(runs);
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
    const { label, child } = this.entrant;
    if (this.failed !== undefined) return { label, times: [], failed: this.failed };
    const { peak } = child;
    return { label, times: this.times, ...(peak === undefined ? {} : { peak }) };
  }
}

/** Answer of an operation that has none to compare. */
const NO_ANSWER = "-";

/** Runs the operation of each once, with something at the end of its name, but none of those that have failed. */
async function round(all: readonly Participant[], suffix = ""): Promise<Map<Participant, Run>> {
  const runs = new Map<Participant, Run>();
  for (const participant of all) {
    if (participant.failed !== undefined) continue;
    const { entrant } = participant;
    try {
      runs.set(participant, await entrant.child.run(entrant.operation + suffix));
    } catch (error) {
      if (entrant.mayFail !== true) throw error;
      participant.failed = `failed: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return runs;
}

/**
 * Compares the answers of a round with that of the first entrant. A library with another answer is wrong, and left out, if at least one other
 * entrant has the answer of the first, and more have it than any other answer.
 * @throws {Error} if it is not clear who is wrong, or if it is none of the libraries
 */
function leaveOutWrong(runs: ReadonlyMap<Participant, Run>): void {
  const answers = [...runs].filter(([, { answer }]) => answer !== NO_ANSWER);
  const votes = new Map<string, number>();
  for (const [, { answer }] of answers) votes.set(answer, (votes.get(answer) ?? 0) + 1);
  const [first, ...others] = votes;
  if (first === undefined || others.length === 0) return;
  const [right, agreeing] = first;
  const wrong = answers.filter(([, { answer }]) => answer !== right);
  const isClear =
    agreeing > 1 &&
    others.every(([, count]) => count < agreeing) &&
    wrong.every(([{ entrant }]) => entrant.mayFail === true);
  if (!isClear) {
    const all = answers.map(([{ entrant }, { answer }]) => `${entrant.label} ${entrant.operation} gives ${answer}`);
    throw new Error(`the answers differ: ${all.join(", ")}`);
  }
  for (const [participant, { answer }] of wrong) participant.failed = `wrong: gives ${answer}, others ${right}`;
}
