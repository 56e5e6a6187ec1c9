import type { Costs } from "../costs/baseline.ts";
import type { Spread } from "../measure/statistics.ts";

/** What was measured of one contestant. */
export interface Measured {
  readonly label: string;
  /** Nanoseconds of one run. */
  readonly time: Spread;
  /** Most memory that its process had during the operation, its data included, in bytes; absent if it is not known. */
  readonly peak?: number;
}

/** A contestant that QDB was compared with. */
export type Peer =
  | (Measured & {
      /** Time of QDB divided by the time of this one, of pairs of one round. */
      readonly ratio: Spread;
      /** The ratio that is to be reached; absent if the comparison is there to explain another one. */
      readonly goal?: number;
    })
  | { readonly label: string; readonly missing: string };

/** One operation on one kind of data. */
export interface Comparison {
  readonly data: string;
  readonly operation: string;
  readonly rounds: number;
  readonly qdb: Measured;
  readonly peers: readonly Peer[];
}

/** How the time of an operation of QDB grows. */
export interface Curve {
  readonly operation: string;
  /** What grows, with its unit. */
  readonly quantity: string;
  readonly points: readonly { readonly amount: number; readonly time: Spread; readonly peak?: number }[];
  /** Time at the last point divided by that at the first, of pairs of one round. */
  readonly growth: Spread;
  /** What the growth is not to be above: that of the quantity. */
  readonly goal: number;
}

/** A limit of the machine, or why it was not measured. */
export type Limit =
  | { readonly name: string; readonly value: number; readonly unit: string }
  | { readonly name: string; readonly missing: string };

/** A row of the benchmark: a group of comparisons, curves or limits. */
export interface RowResult {
  readonly id: string;
  readonly title: string;
  readonly comparisons?: readonly Comparison[];
  readonly curves?: readonly Curve[];
  readonly limits?: readonly Limit[];
  readonly costs?: Costs;
}

/** The results of one run of the benchmark. */
export interface Results {
  readonly node: string;
  readonly v8: string;
  readonly processor: string;
  readonly quick: boolean;
  readonly rows: readonly RowResult[];
}

/** Whether the median of a ratio reaches its goal. */
export function isMet({ ratio, goal }: { readonly ratio: Spread; readonly goal: number }): boolean {
  return ratio.median <= goal;
}
