import type { Effort } from "../measure/contest.ts";
import { ratioOf, spreadOf } from "../measure/statistics.ts";
import type { Comparison, Measured, Peer } from "../report/results.ts";
import type { Command, Ran } from "./runner.ts";
import type { Workshop } from "./workshop.ts";

/** A command that is measured. */
export interface Runnable {
  readonly command: Command;
  /** Brings its files into the state in which it begins. It is not timed. */
  readonly prepare?: () => void;
  /** Looks at what the first run has made. It is not timed. @throws {Error} if that is wrong */
  readonly check?: () => void;
}

/** A command that QDB is compared with. */
export interface Rival extends Runnable {
  readonly label: string;
  /** The ratio of times that is to be reached. */
  readonly goal?: number;
  /** The ratio of peak memory that is to be reached. */
  readonly memoryGoal?: number;
  /** Whether the run fails if this command does, since it is a part of the benchmark (default false). */
  readonly isOwn?: boolean;
}

/** A rival, or why there is none. */
export type Opponent = Rival | { readonly label: string; readonly missing: string };

/** Two programs that should print the same do not, and it is not clear which of them is wrong. */
export class Disagreement extends Error {}

/** A command of QDB, and those that it is compared with. */
export interface Match {
  readonly data: string;
  readonly operation: string;
  readonly qdb: Runnable;
  readonly opponents: readonly Opponent[];
}

/** A command with what was measured of it so far. */
class Participant {
  readonly runnable: Runnable;
  readonly #runs: Ran[] = [];
  failed: string | undefined;

  constructor(runnable: Runnable) {
    this.runnable = runnable;
  }

  add(ran: Ran): void {
    this.#runs.push(ran);
  }

  get walls(): number[] {
    return this.#runs.map(({ wall }) => wall);
  }

  get processors(): number[] {
    return this.#runs.map(({ processor }) => processor);
  }

  get peak(): number {
    return Math.max(...this.#runs.map(({ peak }) => peak));
  }

  measured(label: string): Measured {
    return { label, time: spreadOf(this.walls), processor: spreadOf(this.processors), peak: this.peak };
  }
}

/**
 * Runs a command and its opponents in turn, A B C A B C …, each time in a process of its own. The first round is not counted; in it, what
 * each has made is checked.
 * @throws {Error} if QDB fails, or makes what is wrong; an opponent that does is left out, and named
 * @throws {Disagreement} if a check does
 */
export function race({ runner }: Workshop, { data, operation, qdb, opponents }: Match, effort: Effort): Comparison {
  const own = new Participant(qdb);
  const others = opponents.map((one) => ("missing" in one ? one : { rival: one, participant: new Participant(one) }));
  const run = (participant: Participant, isFirst: boolean): void => {
    const { command, prepare, check } = participant.runnable;
    prepare?.();
    const ran = runner.succeed(command);
    if (isFirst) check?.();
    else participant.add(ran);
  };
  const round = (isFirst: boolean): void => {
    run(own, isFirst);
    for (const other of others) {
      if ("missing" in other || other.participant.failed !== undefined) continue;
      try {
        run(other.participant, isFirst);
      } catch (error) {
        if (other.rival.isOwn === true || error instanceof Disagreement) throw error;
        other.participant.failed = `failed: ${(error instanceof Error ? error.message : String(error)).trim()}`;
      }
    }
  };
  round(true);
  const end = performance.now() + effort.seconds * 1000;
  for (let count = 0; count < effort.least || (count < effort.most && performance.now() < end); count++) round(false);
  const peers = others.map((other): Peer => {
    if ("missing" in other) return other;
    const { rival, participant } = other;
    const { label, goal, memoryGoal } = rival;
    if (participant.failed !== undefined) return { label, missing: participant.failed };
    return {
      ...participant.measured(label),
      ratio: ratioOf(own.walls, participant.walls),
      processorRatio: ratioOf(own.processors, participant.processors),
      ...(goal === undefined ? {} : { goal }),
      ...(memoryGoal === undefined ? {} : { memoryGoal }),
    };
  });
  return { data, operation, rounds: own.walls.length, qdb: own.measured("QDB"), peers };
}
