import { type Cell, nameOf } from "../data/cells.ts";
import type { Comparison, Measured, Peer } from "../report/results.ts";
import { Child } from "./child.ts";
import { contest, type Entrant, type Sample } from "./contest.ts";
import { isLibrary, type Kind, type Lab, type Missing } from "./lab.ts";
import { ratioOf, spreadOf } from "./statistics.ts";

/** A contestant that QDB is compared with in one operation. */
export interface Rival {
  readonly kind: Kind;
  /** What the table calls it (default: the kind). */
  readonly label?: string;
  /** Its operation (default: the same as QDB's). */
  readonly operation?: string;
  /** The ratio that is to be reached. */
  readonly goal?: number;
}

/** An operation and those with which QDB is compared in it. */
export interface Match {
  /** The operation of the contestants. */
  readonly operation: string;
  /** What the table calls it. */
  readonly label: string;
  readonly rivals: readonly Rival[];
}

/** Operations whose results are compared in full before they are measured. Their answers are only numbers of dirty bits or of runs. */
const CHECKED: readonly string[] = ["build", "or", "andnot", "runs", "coarsen", "refine", "mark"];

/** Measures operations on the data of one cell. Each contestant has one process, which does all of its operations. */
export async function compare(lab: Lab, cell: Cell, matches: readonly Match[]): Promise<Comparison[]> {
  const children = new Map<Kind, Child | Missing>();
  try {
    for (const kind of new Set<Kind>(["qdb", ...matches.flatMap(({ rivals }) => rivals.map((rival) => rival.kind))]))
      children.set(kind, await lab.start(kind, cell));
    const compared: Comparison[] = [];
    for (const match of matches) {
      lab.say(`${nameOf(cell)}: ${match.label}`);
      const entrants = entrantsOf(match, children);
      const hasCheck = CHECKED.includes(match.operation);
      const samples = await contest(entrants, { ...lab.effort(cell.mebibytes), hasCheck });
      compared.push(comparisonOf(nameOf(cell), match, samples, children));
    }
    return compared;
  } finally {
    for (const child of children.values()) if (child instanceof Child) child.kill();
  }
}

function labelOf(rival: Rival): string {
  return rival.label ?? rival.kind;
}

function entrantsOf({ operation, rivals }: Match, children: ReadonlyMap<Kind, Child | Missing>): Entrant[] {
  const all = [{ kind: "qdb" as const, label: "QDB", operation }, ...rivals];
  return all.flatMap((rival: Rival) => {
    const child = children.get(rival.kind);
    if (!(child instanceof Child)) return [];
    const mayFail = isLibrary(rival.kind);
    return [{ label: labelOf(rival), child, operation: rival.operation ?? operation, mayFail }];
  });
}

function comparisonOf(
  data: string,
  { label: operation, rivals }: Match,
  samples: readonly Sample[],
  children: ReadonlyMap<Kind, Child | Missing>,
): Comparison {
  const sampleOf = (label: string): Sample => {
    const sample = samples.find((one) => one.label === label);
    if (sample === undefined) throw new Error(`${label} was not measured`);
    return sample;
  };
  const timesOf = (label: string): readonly number[] => sampleOf(label).times;
  const measured = (label: string): Measured => {
    const { times, peak } = sampleOf(label);
    return { label, time: spreadOf(times), ...(peak === undefined ? {} : { peak }) };
  };
  const peers = rivals.map((rival): Peer => {
    const label = labelOf(rival);
    const child = children.get(rival.kind);
    if (child !== undefined && !(child instanceof Child)) return { label, missing: child.missing };
    const { failed } = sampleOf(label);
    if (failed !== undefined) return { label, missing: failed };
    const ratio = ratioOf(timesOf("QDB"), timesOf(label));
    return { ...measured(label), ratio, ...(rival.goal === undefined ? {} : { goal: rival.goal }) };
  });
  return { data, operation, rounds: timesOf("QDB").length, qdb: measured("QDB"), peers };
}
