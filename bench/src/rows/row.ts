import type { Lab } from "../measure/lab.ts";
import type { RowResult } from "../report/results.ts";

/** A part of the benchmark, which `--only` can choose. */
export interface Row {
  readonly id: string;
  readonly title: string;
  readonly measure: (lab: Lab) => Promise<Omit<RowResult, "id" | "title">>;
}
