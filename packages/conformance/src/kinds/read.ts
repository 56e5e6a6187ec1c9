import { findingsOf, type JsonObject, textsOf } from "../answer.ts";
import { type Bench, cameOf, type Said } from "../bench.ts";
import { differences, findingDifferences, findingText } from "../compare.ts";
import type { ExpectCheck, ExpectIo, Finding, Json, Limits } from "../manifest.ts";
import { Wrong } from "../results.ts";

/** Tries of a request whose time or memory was above its limit: on a busy machine one alone says little. */
const TRIES = 3;

/** Holds what `read` says against a model of the corpus. @throws {Wrong} */
export function sameModel(bench: Bench, said: Said, model: string): void {
  const body = bench.done(said, `the model ${model}`);
  const found = differences(bench.corpus.json(model), body.model);
  if (found.length > 0)
    throw new Wrong("fail", "the file reads as something else", { expected: model, differences: found });
}

/** `read`: the model of the file, or the code for which it is refused. */
export async function tryRead(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const said = await bench.ask(["read", bench.input()]);
  if ("error" in expect) bench.refused(said, expect.error);
  else if ("model" in expect) sameModel(bench, said, expect.model);
  else throw new Error(`${bench.vector.id}: a read expects a model or an error`);
}

/** `check`: every finding, in any order. */
export async function tryCheck(bench: Bench): Promise<void> {
  const { expect } = bench.vector;
  const said = await bench.ask(["check", bench.input()]);
  if ("error" in expect) bench.refused(said, expect.error);
  else if ("findings" in expect && "complete" in expect) sameCheck(bench, said, expect);
  else throw new Error(`${bench.vector.id}: a check expects findings or an error`);
}

function sameCheck(bench: Bench, said: Said, expect: ExpectCheck): void {
  const body = bench.done(said, "findings");
  sameFindings(bench, body, expect.findings);
  if (body.complete !== expect.complete)
    throw new Wrong("fail", `complete is ${JSON.stringify(body.complete)}, where ${expect.complete} is due`);
}

/** Holds the findings of an answer against those expected. @throws {Wrong} */
export function sameFindings(bench: Bench, body: JsonObject, expected: readonly Finding[]): void {
  const came = bench.fromAnswer(() => findingsOf(body));
  const found = findingDifferences(expected, came);
  if (found.length === 0) return;
  const list = (findings: readonly Finding[]): string => findings.map(findingText).join("; ") || "no finding";
  throw new Wrong("fail", "other findings", { expected: list(expected), came: list(came), differences: found });
}

/** `limit`: as read or check, within a time and a growth of memory. */
export async function tryLimit(bench: Bench): Promise<void> {
  const { limits, expect } = bench.vector;
  if (limits === undefined) throw new Error(`${bench.vector.id}: a limit vector has no limits`);
  for (let time = 1; ; time++) {
    const timeoutMs = Math.max(bench.timeoutMs, 4 * limits.time_ms);
    // What a program kept of earlier requests would hide what this one takes.
    await bench.startAnew();
    const said = await bench.ask([limits.verb, bench.input()], { timeoutMs, measure: true });
    const ownMs = said.ms - Math.min(said.ms, said.queuedMs ?? 0);
    bench.timeMs = Math.min(ownMs, bench.timeMs ?? ownMs);
    bench.memoryUnknown = said.growth === undefined;
    if (said.growth !== undefined) bench.memoryMib = Math.min(said.growth.mib, bench.memoryMib ?? said.growth.mib);
    if ("error" in expect) bench.refused(said, expect.error);
    else if ("findings" in expect && "complete" in expect) sameCheck(bench, said, expect);
    else if ("model" in expect && limits.verb === "read") sameModel(bench, said, expect.model);
    else throw new Error(`${bench.vector.id}: a limit of ${limits.verb} cannot expect this`);
    const over = overLimits(bench, limits);
    if (over === undefined) return;
    if (time === TRIES) throw new Wrong("fail", `${over}, the best of ${TRIES} tries`);
  }
}

function overLimits({ timeMs = 0, memoryMib = 0 }: Bench, limits: Limits): string | undefined {
  const over = [
    ...(timeMs <= limits.time_ms ? [] : [`it took ${Math.round(timeMs)} ms, at most ${limits.time_ms} are allowed`]),
    ...(memoryMib <= limits.memory_mib
      ? []
      : [`peak memory grew by ${memoryMib.toFixed(1)} MiB, at most ${limits.memory_mib} are allowed`]),
  ];
  return over.length === 0 ? undefined : over.join("; ");
}

/** `io`: part of a file, read with few bytes in few rounds. */
export async function tryIo(bench: Bench): Promise<void> {
  const expect = bench.vector.expect as ExpectIo;
  const said = await bench.ask(["read", bench.input(), ...expect.request]);
  if (expect.model !== undefined) sameModel(bench, said, expect.model);
  const body = bench.done(said, "an answer with io");
  if (expect.names !== undefined) {
    const found = differences(
      [...expect.names],
      bench.fromAnswer(() => textsOf(body, "names")),
    );
    if (found.length > 0) throw new Wrong("fail", "other names", { came: cameOf(said), differences: found });
  }
  const io = body.io as Json;
  for (const key of ["bytes", "rounds"] as const) {
    const value = typeof io === "object" && io !== null && !Array.isArray(io) ? io[key] : undefined;
    if (typeof value !== "number") throw new Wrong("fail", `the answer has no number io.${key}`);
    if (value > expect[key]) throw new Wrong("fail", `io.${key} is ${value}, at most ${expect[key]} are allowed`);
  }
}
