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

/** Operations whose answers alone are compared, in full, before they are measured: listings answer with a number of runs. */
const CHECKS: Readonly<Record<string, string>> = { runs: "runs-check" };

/** Measures operations on the data of one cell. Each contestant has one process, which does all of its operations. */
export async function compare(lab: Lab, cell: Cell, matches: readonly Match[]): Promise<Comparison[]> {
  const children = new Map<Kind, Child | Missing>();
  try {
    for (const kind of new Set<Kind>(["qdb", ...matches.flatMap(({ rivals }) => rivals.map((rival) => rival.kind))]))
      children.set(kind, await lab.start(kind, cell));
    const measured: { match: Match; samples: readonly Sample[] }[] = [];
    for (const match of matches) {
      lab.say(`${nameOf(cell)}: ${match.label}`);
      const entrants = entrantsOf(match, children);
      const check = CHECKS[match.operation];
      const options = { ...lab.effort(cell.mebibytes), ...(check === undefined ? {} : { check }) };
      measured.push({ match, samples: await contest(entrants, options) });
    }
    const peaks = new Map<Kind, number>();
    for (const [kind, child] of children) if (child instanceof Child) peaks.set(kind, await child.peak());
    return measured.map(({ match, samples }) => comparisonOf(nameOf(cell), match, samples, children, peaks));
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
  peaks: ReadonlyMap<Kind, number>,
): Comparison {
  const sampleOf = (label: string): Sample => {
    const sample = samples.find((one) => one.label === label);
    if (sample === undefined) throw new Error(`${label} was not measured`);
    return sample;
  };
  const timesOf = (label: string): readonly number[] => sampleOf(label).times;
  const measured = (kind: Kind, label: string): Measured => {
    const peak = peaks.get(kind);
    if (peak === undefined) throw new Error(`the memory of ${label} is not known`);
    return { label, time: spreadOf(timesOf(label)), peak };
  };
  const peers = rivals.map((rival): Peer => {
    const label = labelOf(rival);
    const child = children.get(rival.kind);
    if (child !== undefined && !(child instanceof Child)) return { label, missing: child.missing };
    const { failed } = sampleOf(label);
    if (failed !== undefined) return { label, missing: `failed: ${failed}` };
    const ratio = ratioOf(timesOf("QDB"), timesOf(label));
    return { ...measured(rival.kind, label), ratio, ...(rival.goal === undefined ? {} : { goal: rival.goal }) };
  });
  return { data, operation, rounds: timesOf("QDB").length, qdb: measured("qdb", "QDB"), peers };
}
