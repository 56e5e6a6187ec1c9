import { type Bench, cameOf, type Said } from "../bench.ts";
import { contentsOf, differences } from "../compare.ts";
import type { CrashStep, ExpectCrash } from "../manifest.ts";
import { Wrong } from "../results.ts";
import { InputFile } from "../workspace.ts";

/** `crash`: after each prefix of a log of writes the file reads as one of the states that are allowed there. */
export async function tryCrash(bench: Bench): Promise<void> {
  const { expect, input } = bench.vector;
  const { states, steps, allowed } = bench.corpus.log((expect as ExpectCrash).log);
  const before = bench.corpus.bytes(input);
  let bytes = before instanceof Uint8Array ? before : before.bytes();
  for (let at = 0; at <= steps.length; at++) {
    const step = at === 0 ? undefined : steps[at - 1];
    if (step !== undefined) bytes = afterStep(bytes, step);
    const file = new InputFile(bench.path(`prefix-${at}.qdb`), bytes);
    const said = await bench.ask(["read", file.path]);
    const change = file.change();
    if (change !== undefined) throw new Wrong("fail", `read must leave the input alone: ${change}`);
    const names = allowed[at];
    if (names === undefined || names.length === 0) throw new Error(`${bench.vector.id}: nothing is allowed at ${at}`);
    sameState(bench, said, names, states, `after ${at} of ${steps.length} steps`);
  }
}

function sameState(
  bench: Bench,
  said: Said,
  names: readonly string[],
  states: Readonly<Record<string, string>>,
  when: string,
): void {
  const found: string[] = [];
  for (const name of names) {
    const model = states[name];
    if (model === undefined) {
      if (said.kind === "refused" && said.error === name) return;
      continue;
    }
    if (said.kind !== "ok") continue;
    const list = differences(contentsOf(bench.corpus.json(model)), contentsOf(said.body.model));
    if (list.length === 0) return;
    found.push(...list.map((line) => `to the state ${name}: ${line}`));
  }
  throw new Wrong("fail", `${when} the file reads as a state that is not allowed`, {
    expected: names.join(" or "),
    came: cameOf(said),
    differences: found,
  });
}

/** A file after one step of a log. */
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
