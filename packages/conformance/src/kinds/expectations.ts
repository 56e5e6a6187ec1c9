// What several kinds of vectors require of an answer.
import { type Bench, requireDone, requirePart } from "../bench/bench.ts";
import { differences, findingDifferences, findingText } from "../bench/differences.ts";
import { VectorFailure } from "../bench/vector-failure.ts";
import type { ExpectCheck, Finding } from "../corpus/manifest.ts";
import { type DoneOrRefused, findingsOf } from "../program/parse-answer.ts";
import type { JsonObject } from "../text/json.ts";

/** Requires that the answer to `read` has a model of the corpus, given by its path. @throws {VectorFailure} */
export function requireModel(bench: Bench, answer: DoneOrRefused, model: string): void {
  const body = requireDone(answer, `the model ${model}`);
  const found = differences(bench.corpus.json(model), body.model);
  if (found.length > 0)
    throw new VectorFailure("fail", "the file reads as something else", { expected: model, differences: found });
}

/** Requires that the answer to `check` has the expected findings and `complete`. @throws {VectorFailure} */
export function requireCheck(answer: DoneOrRefused, expect: ExpectCheck): void {
  const body = requireDone(answer, "findings");
  requireFindings(body, expect.findings);
  if (body.complete !== expect.complete)
    throw new VectorFailure("fail", `complete is ${JSON.stringify(body.complete)}, but ${expect.complete} is expected`);
}

/** Requires that an answer has the expected findings, in any order. @throws {VectorFailure} */
export function requireFindings(body: JsonObject, expected: readonly Finding[]): void {
  const came = requirePart(() => findingsOf(body));
  const found = findingDifferences(expected, came);
  if (found.length === 0) return;
  const list = (findings: readonly Finding[]): string => findings.map(findingText).join("; ") || "no finding";
  throw new VectorFailure("fail", "other findings", {
    expected: list(expected),
    came: list(came),
    differences: found,
  });
}
