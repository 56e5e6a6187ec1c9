// SPDX-License-Identifier: CC0-1.0 OR MIT
// Protocol 1 of the conformance suite (../../IMPLEMENTERS.md) for adapters in TypeScript.
import { createInterface } from "node:readline";
import { isQdbError } from "@qdb/format";

/** What a verb answers beside `ok`. */
export type Body = Readonly<Record<string, unknown>>;

/** An implementation behind the protocol. */
export interface Implementation {
  readonly name: string;
  readonly version: string;
  readonly features: readonly string[];
  /** What each verb does; it throws a QdbError where it refuses. */
  readonly verbs: Readonly<Record<string, (...fields: readonly string[]) => Promise<Body>>>;
}

/** Answers what the command line asks, or with `serve` line after line of standard input. */
export async function speak(implementation: Implementation): Promise<void> {
  const [verb = "", ...fields] = process.argv.slice(2);
  if (verb !== "serve") {
    const answer = await answerOf(implementation, verb, fields);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
    process.exitCode = "skip" in answer ? 3 : answer.ok === true ? 0 : 1;
    return;
  }
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    const [id, asked = "", ...rest] = line.split("\t");
    process.stdout.write(`${JSON.stringify({ id, ...(await answerOf(implementation, asked, rest)) })}\n`);
  }
}

async function answerOf(implementation: Implementation, verb: string, fields: readonly string[]): Promise<Body> {
  const { name, version, features, verbs } = implementation;
  if (verb === "hello") {
    const profiles = ["read", "check", "write", "update", "repair"];
    return { ok: true, protocol: 1, name, version, spec: [1], profiles, features };
  }
  const work = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
  if (work === undefined) return { skip: `there is no verb ${verb}` };
  try {
    return { ok: true, ...(await work(...fields)) };
  } catch (error) {
    // What is no refusal is a bug: the program ends with it, and the runner sees a crash.
    if (!isQdbError(error)) throw error;
    const { code, message, where } = error;
    return { ok: false, error: code, ...(where.offset === undefined ? {} : { offset: `${where.offset}` }), message };
  }
}
