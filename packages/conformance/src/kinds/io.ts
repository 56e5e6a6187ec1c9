import { answerText, type Bench, requireDone, requirePart } from "../bench/bench.ts";
import { differences } from "../bench/differences.ts";
import { VectorFailure } from "../bench/vector-failure.ts";
import type { ExpectIo } from "../corpus/manifest.ts";
import { stringsOf } from "../program/parse-answer.ts";
import type { Json } from "../text/json.ts";
import { requireModel } from "./expectations.ts";

/** Tries a vector of kind `io`: a part of a file is read, with at most the expected number of bytes and of rounds. */
export async function tryIo(bench: Bench): Promise<void> {
  const expect = bench.vector.expect as ExpectIo;
  const answer = await bench.ask(["read", bench.input(), ...expect.request]);
  if (expect.model !== undefined) requireModel(bench, answer, expect.model);
  const body = requireDone(answer, "an answer with io");
  if (expect.names !== undefined) {
    const found = differences(
      [...expect.names],
      requirePart(() => stringsOf(body, "names")),
    );
    if (found.length > 0)
      throw new VectorFailure("fail", "other names", { came: answerText(answer), differences: found });
  }
  const io = body.io as Json;
  for (const key of ["bytes", "rounds"] as const) {
    const value = typeof io === "object" && io !== null && !Array.isArray(io) ? io[key] : undefined;
    if (typeof value !== "number") throw new VectorFailure("fail", `the answer has no number io.${key}`);
    if (value > expect[key])
      throw new VectorFailure("fail", `io.${key} is ${value}, at most ${expect[key]} are allowed`);
  }
}
