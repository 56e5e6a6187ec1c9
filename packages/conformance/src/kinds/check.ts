import { type Bench, requireRefused } from "../bench/bench.ts";
import { requireCheck } from "./expectations.ts";

/** Tries a vector of kind `check`: a check lists exactly the expected findings, or the file is refused with the expected code. */
export async function tryCheck(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const answer = await bench.ask(["check", bench.input()]);
  if ("error" in expect) requireRefused(answer, expect.error);
  else if ("findings" in expect && "complete" in expect) requireCheck(answer, expect);
  else throw new Error(`${bench.vector.id}: a check expects findings or an error`);
}
