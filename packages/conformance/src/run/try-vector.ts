import { Bench, type Judge } from "../bench/bench.ts";
import { VectorFailure } from "../bench/vector-failure.ts";
import type { Workspace } from "../bench/workspace.ts";
import type { Corpus } from "../corpus/corpus.ts";
import type { Vector } from "../corpus/manifest.ts";
import { KINDS } from "../kinds/index.ts";
import type { Adapter } from "../program/adapter.ts";
import { type Outcome, type Result, type Trouble, vectorResult } from "../report/results.ts";
import { troubleOf } from "./failure-report.ts";
import type { Options } from "./options.ts";

/** What a vector is tried with. */
export interface TrialTools {
  readonly corpus: Corpus;
  readonly options: Options;
  readonly workspace: Workspace;
  /** The program under test. */
  readonly adapter: Adapter;
  readonly judges: readonly Judge[];
  /** The profiles that the program claims, and those named on the command line. */
  readonly profiles: readonly string[];
  /** Called if peak memory could not be measured, although the vector has a limit of it. */
  readonly noMemory: () => void;
}

/** Tries a vector and returns the result. A vector that does not pass is a result too. @throws {Error} if the corpus is damaged */
export async function tryVector(vector: Vector, tools: TrialTools): Promise<Result> {
  const { corpus, options, workspace, adapter, judges, profiles } = tools;
  const { timeoutMs } = options;
  const folder = workspace.begin(vector.id);
  const bench = new Bench({ vector, corpus, adapter, judges, profiles, folder, timeoutMs });
  let failure: VectorFailure | undefined;
  try {
    await KINDS[vector.kind](bench);
  } catch (error) {
    if (!(error instanceof VectorFailure)) throw error;
    failure = error;
  }
  if (bench.memoryUnknown) tools.noMemory();
  const kept = workspace.end(vector.id, failure !== undefined);
  const trouble = failure === undefined ? undefined : troubleOf(failure, bench, options.command, kept);
  return {
    ...vectorResult(vector, ...applyKnown(options.known.get(vector.id), failure?.outcome ?? "pass", trouble)),
    durationMs: bench.durationMs,
    ...(bench.timeMs === undefined ? {} : { timeMs: bench.timeMs }),
    ...(bench.memoryMib === undefined ? {} : { memoryMib: bench.memoryMib }),
  };
}

/**
 * Applies the list of known failures to an outcome. `known` is the reason in the list, if the vector is listed. A listed vector that passes
 * fails, so that the list has to be kept up to date.
 */
function applyKnown(
  known: string | undefined,
  outcome: "pass" | "fail" | "crash",
  trouble: Trouble | undefined,
): [outcome: Outcome, trouble?: Trouble] {
  if (known === undefined) return trouble === undefined ? [outcome] : [outcome, trouble];
  if (outcome !== "pass") return ["known failure", { ...trouble, reason: known }];
  return ["fail", { reason: `it passes, but is listed as a known failure (${known}); take it off the list` }];
}
