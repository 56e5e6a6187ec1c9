import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { type Adapter, messageOf, OnceAdapter, ServeAdapter } from "./adapter.ts";
import type { Judge } from "./bench.ts";
import type { Corpus } from "./corpus.ts";
import { greet } from "./hello.ts";
import { KINDS } from "./kinds/index.ts";
import type { Vector } from "./manifest.ts";
import { matches, type Options, UsageError } from "./options.ts";
import type { Hello, Result, Run } from "./results.ts";
import { resultOf, type TrialTools, tryVector } from "./trial.ts";
import type { Workspace } from "./workspace.ts";

/** What a run tells of while it goes on. */
export interface Watcher {
  /** Each result as it comes. */
  result(result: Result): void;
  /** Standard error of the programs. */
  log(text: string): void;
}

/** Runs a corpus against a program. @throws {UsageError}; {Error} for a damaged corpus */
export async function runCorpus(
  corpus: Corpus,
  options: Options,
  workspace: Workspace,
  watcher: Watcher,
): Promise<Run> {
  const started = new Date();
  const clock = performance.now();
  const results: Result[] = [];
  const notes = new Set<string>();
  const tell = (result: Result): void => {
    results.push(result);
    watcher.result(result);
  };
  const wanted = corpus.manifest.vectors.filter(({ id }) => matches(id, options.filters));
  for (const id of options.known.keys())
    if (corpus.vector(id) === undefined)
      throw new UsageError(`--known-failures: the corpus ${corpus.manifest.corpus_version} has no vector ${id}`);
  const start = (command: readonly string[]): Adapter =>
    options.once
      ? new OnceAdapter(command, options.timeoutMs, (text) => watcher.log(text))
      : new ServeAdapter(command, options.timeoutMs, (text) => watcher.log(text));
  const first = start(options.command);
  const hello = await greeting(first, tell);
  const profiles = options.profiles.length > 0 ? options.profiles : (hello?.profiles ?? []);
  const why = (vector: Vector): string | undefined => whySkipped(vector, hello, profiles);
  const due = wanted.filter((vector) => why(vector) === undefined);
  for (const vector of wanted) {
    const reason = why(vector);
    if (reason !== undefined) tell(resultOf(vector, "skip", { reason }));
  }
  if (hello !== undefined && due.length === 0)
    tell(protocolResult("run", "Something is run", "fail", nothingRan(wanted, profiles)));

  const noMemory = (): void =>
    void notes.add(
      options.once
        ? "memory was not measured: that needs a program that serves (leave --once out)"
        : "memory was not measured: this system does not tell the peak memory of a program",
    );
  const judgeNames = options.judges.map(nameOf);
  const work = async (queue: Vector[], adapter: Adapter): Promise<void> => {
    const judges = await Promise.all(options.judges.map((command) => judgeOf(command, start(command))));
    // Who claims to read reads back what it wrote, whichever profiles are run.
    const claimed = [...new Set([...(hello?.profiles ?? []), ...profiles])];
    const tools: TrialTools = { corpus, options, workspace, adapter, judges, profiles: claimed, noMemory };
    for (let vector = queue.shift(); vector !== undefined; vector = queue.shift()) tell(await tryVector(vector, tools));
    await Promise.all(judges.map((judge) => judge.adapter.close()));
  };
  // What is measured runs alone, after the others.
  const measured = due.filter(({ kind }) => kind === "limit");
  const others = due.filter(({ kind }) => kind !== "limit");
  const helpers = Array.from({ length: Math.min(options.jobs, others.length) - 1 }, () => start(options.command));
  const ends = await Promise.all(
    [first, ...helpers].map(async (adapter) => {
      await work(others, adapter);
      return adapter === first ? undefined : adapter.close();
    }),
  );
  await work(measured, first);
  ends.push(await first.close());
  const bad = ends.find((end) => end !== undefined);
  if (hello !== undefined && bad !== undefined)
    tell(protocolResult("end", "The program ends when its input ends", "crash", bad));
  if (options.jobs > availableParallelism())
    notes.add(`${options.jobs} jobs on ${availableParallelism()} processors: requests may take longer than alone`);
  return {
    command: options.command,
    mode: options.once ? "once" : "serve",
    hello,
    profiles,
    judges: judgeNames,
    started,
    durationMs: performance.now() - clock,
    results,
    notes: [...notes],
  };
}

async function greeting(adapter: Adapter, tell: (result: Result) => void): Promise<Hello | undefined> {
  try {
    return await greet(adapter);
  } catch (error) {
    tell(protocolResult("hello", "The program says who it is and what it claims", "crash", messageOf(error)));
    return undefined;
  }
}

function whySkipped(vector: Vector, hello: Hello | undefined, profiles: readonly string[]): string | undefined {
  if (hello === undefined) return "the program did not answer hello";
  if (KINDS[vector.kind] === undefined) return `this runner does not know the kind ${vector.kind}`;
  // What a check may cost asks for a checker, whichever profile the vector stands in.
  for (const profile of [vector.profile, ...(vector.limits === undefined ? [] : [vector.limits.verb])])
    if (!profiles.includes(profile)) return `the profile ${profile} is not claimed`;
  const feature = vector.features.find((name) => !hello.features.includes(name));
  return feature === undefined ? undefined : `the feature ${feature} is not claimed`;
}

function nothingRan(wanted: readonly Vector[], profiles: readonly string[]): string {
  if (wanted.length === 0) return "no vector of the corpus has such an id; --list shows them";
  if (profiles.length === 0) return "the program claims no profile; name them in hello, or with --profile";
  return "no vector belongs to the claimed profiles and features";
}

/** A result that is about the program, not about a vector. */
function protocolResult(id: string, title: string, outcome: "fail" | "crash", reason: string): Result {
  return {
    id,
    title,
    kind: "protocol",
    profile: "protocol",
    level: "must",
    requirements: [],
    outcome,
    trouble: { reason },
    durationMs: 0,
  };
}

/** @throws {UsageError} for a judge that cannot judge */
async function judgeOf(command: readonly string[], adapter: Adapter): Promise<Judge> {
  try {
    return { name: nameOf(command), adapter, profiles: (await greet(adapter)).profiles };
  } catch (error) {
    throw new UsageError(`--judge ${command.join(" ")}: it does not answer hello: ${messageOf(error)}`);
  }
}

function nameOf(command: readonly string[]): string {
  return command.map((word) => basename(word)).join(" ");
}
