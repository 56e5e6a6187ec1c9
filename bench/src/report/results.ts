import type { Costs } from "../costs/baseline.ts";
import type { Spread } from "../measure/statistics.ts";

/** What was measured of one contestant. */
export interface Measured {
  readonly label: string;
  /** Nanoseconds of one run. */
  readonly time: Spread;
  /** Nanoseconds of processor time of one run; absent if `time` is the less of both. */
  readonly processor?: Spread;
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
      /** The same for processor time, where that was measured by itself. */
      readonly processorRatio?: Spread;
      /** The ratio of peak memory that is to be reached; absent if there is none. */
      readonly memoryGoal?: number;
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

/** The most memory that a command had, for bitmaps of several sizes. */
export interface MemoryUse {
  readonly operation: string;
  /** MiB of bits of one bitmap, and the peak in bytes, or why it was not measured. */
  readonly points: readonly (
    | { readonly amount: number; readonly peak: number }
    | { readonly amount: number; readonly missing: string }
  )[];
}

/** What a command did with a file of which one bit had changed in a cluster. */
export interface DamageFound {
  readonly operation: string;
  /** Exit code. */
  readonly exit: number;
  /** The code that it told. */
  readonly code: string;
}

/** A row of the benchmark: a group of comparisons, curves or limits. */
export interface RowResult {
  readonly id: string;
  readonly title: string;
  readonly comparisons?: readonly Comparison[];
  readonly curves?: readonly Curve[];
  readonly limits?: readonly Limit[];
  readonly costs?: Costs;
  readonly memory?: readonly MemoryUse[];
  readonly damage?: readonly DamageFound[];
  /** Why nothing was measured. */
  readonly missing?: string;
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

/** Returns the ratio of peak memory of QDB to that of another one; undefined if one is not known. */
export function memoryRatio(qdb: Measured, peer: Measured): number | undefined {
  return qdb.peak === undefined || peer.peak === undefined ? undefined : qdb.peak / peer.peak;
}

/** What counts as the same memory as at the first point: 10 % and 8 MiB more, which collections of garbage at other moments make. */
export function memoryAllowed(first: number): number {
  return first * 1.1 + 8 * 2 ** 20;
}

/** Whether the memory of a command is a constant. */
export function isConstant({ points }: MemoryUse): boolean {
  const peaks = points.flatMap((point) => ("peak" in point ? point.peak : []));
  const [first] = peaks;
  return first !== undefined && peaks.length === points.length && Math.max(...peaks) <= memoryAllowed(first);
}
