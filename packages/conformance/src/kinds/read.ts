import { type Bench, requireRefused } from "../bench/bench.ts";
import { requireModel } from "./expectations.ts";

/** Tries a vector of kind `read`: the file has the expected model, or is refused with the expected code. */
export async function tryRead(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const answer = await bench.ask(["read", bench.input()]);
  if ("error" in expect) requireRefused(answer, expect.error);
  else if ("model" in expect) requireModel(bench, answer, expect.model);
  else throw new Error(`${bench.vector.id}: a read expects a model or an error`);
}
