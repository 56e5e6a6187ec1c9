import { availableParallelism } from "node:os";
import type { Workspace } from "../bench/workspace.ts";
import type { Corpus } from "../corpus/corpus.ts";
import type { Vector } from "../corpus/manifest.ts";
import type { Adapter } from "../program/adapter.ts";
import { askHello, type Hello } from "../program/hello.ts";
import { protocolResult, type Result, type Run, vectorResult } from "../report/results.ts";
import { messageOf } from "../text/messages.ts";
import { type Options, UsageError } from "./options.ts";
import { Programs } from "./programs.ts";
import { reasonForNone, selectVectors } from "./select-vectors.ts";
import { type TrialTools, tryVector } from "./try-vector.ts";

/** Receives what happens during a run. */
export interface Watcher {
  /** Called with each result. */
  result(result: Result): void;
  /** Called with the standard error of the programs. */
  log(text: string): void;
}

/** Passes a result on. */
type Report = (result: Result) => void;

/**
 * Tries the vectors of a corpus against a program.
 * @throws {UsageError} if a known failure is not in the corpus, or if a judge does not answer `hello`
 * @throws {Error} if the corpus is damaged
 */
export async function runCorpus(
  corpus: Corpus,
  options: Options,
  workspace: Workspace,
  watcher: Watcher,
): Promise<Run> {
  const started = new Date();
  const clock = performance.now();
  requireKnownIds(corpus, options);
  const results: Result[] = [];
  const report: Report = (result) => {
    results.push(result);
    watcher.result(result);
  };
  const notes = new Set<string>();
  const programs = new Programs(options, (text) => watcher.log(text));
  const first = programs.adapter();
  const hello = await helloOf(first, report);
  const profiles = options.profiles.length > 0 ? options.profiles : (hello?.profiles ?? []);
  const due = reportSkipped(corpus, options, hello, profiles, report);
  // A program that claims to read reads back what it wrote, even if its profile is not one of those that are run.
  const claimed = [...new Set([...(hello?.profiles ?? []), ...profiles])];
  const tools = {
    corpus,
    options,
    workspace,
    profiles: claimed,
    noMemory: () => void notes.add(noMemoryNote(options)),
  };
  const badEnd = await tryAll(due, programs, first, tools, report);
  if (hello !== undefined && badEnd !== undefined)
    report(protocolResult("end", "The program ends when its input ends", "crash", badEnd));
  if (options.jobs > availableParallelism())
    notes.add(`${options.jobs} jobs on ${availableParallelism()} processors: requests may take longer than alone`);
  return {
    command: options.command,
    mode: options.once ? "once" : "serve",
    hello,
    profiles,
    judges: programs.judgeNames,
    started,
    durationMs: performance.now() - clock,
    results,
    notes: [...notes],
  };
}

/** @throws {UsageError} if a known failure is not in the corpus */
function requireKnownIds(corpus: Corpus, { known }: Options): void {
  for (const id of known.keys())
    if (corpus.vector(id) === undefined)
      throw new UsageError(`--known-failures: the corpus ${corpus.manifest.corpus_version} has no vector ${id}`);
}

/** Asks the program under test for its name and its claims. Reports a crash and returns undefined if it gives no valid answer. */
async function helloOf(adapter: Adapter, report: Report): Promise<Hello | undefined> {
  try {
    return await askHello(adapter);
  } catch (error) {
    report(protocolResult("hello", "The program says who it is and what it claims", "crash", messageOf(error)));
    return undefined;
  }
}

/** Reports the vectors that are skipped, and a failure if no vector is left. Returns the vectors to try. */
function reportSkipped(
  corpus: Corpus,
  options: Options,
  hello: Hello | undefined,
  profiles: readonly string[],
  report: Report,
): readonly Vector[] {
  const selected = selectVectors(corpus, options.filters, hello, profiles);
  for (const { vector, reason } of selected.skipped) report(vectorResult(vector, "skip", { reason }));
  if (hello !== undefined && selected.due.length === 0)
    report(protocolResult("run", "Something is run", "fail", reasonForNone(selected, profiles)));
  return selected.due;
}

/**
 * Tries vectors, `options.jobs` at a time. Limit vectors are tried one at a time after all others, since other programs would change what is
 * measured. `first` is the adapter that answered `hello`. Returns what was wrong with the end of one of the programs under test.
 */
async function tryAll(
  due: readonly Vector[],
  programs: Programs,
  first: Adapter,
  tools: Omit<TrialTools, "adapter" | "judges">,
  report: Report,
): Promise<string | undefined> {
  const tryQueue = async (queue: Vector[], adapter: Adapter): Promise<void> => {
    const judges = await programs.startJudges();
    for (let vector = queue.shift(); vector !== undefined; vector = queue.shift())
      report(await tryVector(vector, { ...tools, adapter, judges }));
    await Promise.all(judges.map((judge) => judge.adapter.close()));
  };
  const limited = due.filter(({ kind }) => kind === "limit");
  const others = due.filter(({ kind }) => kind !== "limit");
  const further = Array.from({ length: Math.min(tools.options.jobs, others.length) - 1 }, () => programs.adapter());
  const ends = await Promise.all(
    [first, ...further].map(async (adapter) => {
      await tryQueue(others, adapter);
      return adapter === first ? undefined : adapter.close();
    }),
  );
  await tryQueue(limited, first);
  ends.push(await first.close());
  return ends.find((end) => end !== undefined);
}

function noMemoryNote({ once }: Options): string {
  return once
    ? "memory was not measured: that needs a program that serves (leave --once out)"
    : "memory was not measured: this system does not tell the peak memory of a program";
}
