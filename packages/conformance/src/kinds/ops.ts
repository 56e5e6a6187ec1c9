import { copyFileSync } from "node:fs";
import { type Bench, requireDone, requireRefused } from "../bench/bench.ts";
import { requireContents, requireLaterGeneration } from "./written-file.ts";

/** Tries a vector of kind `ops`: a script of operations gives a file with the expected contents, or is refused as a whole. */
export async function tryOps(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  if (!("ops" in expect)) throw new Error(`${bench.vector.id}: operations need a script`);
  const script = bench.path("script.ops");
  copyFileSync(bench.corpus.path(expect.ops), script);
  const out = bench.path("output.qdb");
  const input = bench.input();
  const answer = await bench.askToWrite(["apply", input, script, out], out);
  if ("error" in expect) {
    requireRefused(answer, expect.error);
    return;
  }
  requireDone(answer, `a file with the contents ${expect.model}`);
  await requireContents(bench, out, [expect.model, ...(expect.any_of ?? [])]);
  if (input !== "-") await requireLaterGeneration(bench, input, out);
}
