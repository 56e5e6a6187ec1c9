import { answerText, type Bench } from "../bench/bench.ts";
import { contentsOf, differences } from "../bench/differences.ts";
import { InputFile } from "../bench/input-file.ts";
import { VectorFailure } from "../bench/vector-failure.ts";
import type { CrashStep, ExpectCrash } from "../corpus/manifest.ts";
import type { DoneOrRefused } from "../program/parse-answer.ts";

/** Tries a vector of kind `crash`: before and after each step of a log of writes, the file has one of the states that are allowed then. */
export async function tryCrash(bench: Bench): Promise<void> {
  const { expect, input } = bench.vector;
  const { states, steps, allowed } = bench.corpus.log((expect as ExpectCrash).log);
  const before = bench.corpus.bytes(input);
  let bytes = before instanceof Uint8Array ? before : before.bytes();
  for (let at = 0; at <= steps.length; at++) {
    const step = at === 0 ? undefined : steps[at - 1];
    if (step !== undefined) bytes = afterStep(bytes, step);
    const file = new InputFile(bench.path(`prefix-${at}.qdb`), bytes);
    const answer = await bench.ask(["read", file.path]);
    const change = file.findChange();
    if (change !== undefined) throw new VectorFailure("fail", `read must leave the input alone: ${change}`);
    const names = allowed[at];
    if (names === undefined || names.length === 0) throw new Error(`${bench.vector.id}: nothing is allowed at ${at}`);
    requireState(bench, answer, names, states, `after ${at} of ${steps.length} steps`);
  }
}

/**
 * Requires that the answer to `read` is one of the allowed states or error codes. `states` has the path of the model of each state; a name
 * that is not in it is an error code.
 * @throws {VectorFailure}
 */
function requireState(
  bench: Bench,
  answer: DoneOrRefused,
  names: readonly string[],
  states: Readonly<Record<string, string>>,
  when: string,
): void {
  const found: string[] = [];
  for (const name of names) {
    const model = states[name];
    if (model === undefined) {
      if (answer.kind === "refused" && answer.error === name) return;
      continue;
    }
    if (answer.kind !== "ok") continue;
    const list = differences(contentsOf(bench.corpus.json(model)), contentsOf(answer.body.model));
    if (list.length === 0) return;
    found.push(...list.map((line) => `to the state ${name}: ${line}`));
  }
  throw new VectorFailure("fail", `${when} the file reads as a state that is not allowed`, {
    expected: names.join(" or "),
    came: answerText(answer),
    differences: found,
  });
}

/** Returns the bytes of a file after a step of a log. */
export function afterStep(before: Uint8Array, step: CrashStep): Uint8Array {
  if (step[0] === "fsync") return before;
  if (step[0] === "cut") return before.slice(0, step[1]);
  const [, offset, hex] = step;
  const written = Buffer.from(hex, "hex");
  const bytes = new Uint8Array(Math.max(before.length, offset + written.length));
  bytes.set(before);
  bytes.set(written, offset);
  return bytes;
}
