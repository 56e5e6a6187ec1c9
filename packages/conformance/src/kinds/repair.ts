import { type Bench, requireDone, requireRefused } from "../bench/bench.ts";
import { requireFindings } from "./expectations.ts";
import { ofJudge, requireContents, requireLaterGeneration } from "./written-file.ts";

/**
 * Tries a vector of kind `repair`: the repaired file has the expected contents, and a check of it lists exactly the expected findings. Or
 * the repair is refused with the expected code.
 */
export async function tryRepair(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const out = bench.path("output.qdb");
  const input = bench.input();
  const answer = await bench.askToWrite(["repair", input, out], out);
  if ("error" in expect) {
    requireRefused(answer, expect.error);
    return;
  }
  if (!("findings" in expect && "model" in expect)) throw new Error(`${bench.vector.id}: a repair expects both`);
  requireFindings(requireDone(answer, "what is left"), expect.findings);
  await requireContents(bench, out, [expect.model]);
  const check = ["check", out];
  if (bench.profiles.includes("check"))
    requireFindings(requireDone(await bench.ask(check), "findings"), expect.findings);
  for (const { judge, answer } of await bench.askJudges(check))
    ofJudge(judge, () => requireFindings(requireDone(answer, "findings"), expect.findings));
  await requireLaterGeneration(bench, input, out);
}
