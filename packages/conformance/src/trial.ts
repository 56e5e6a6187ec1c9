import type { Adapter } from "./adapter.ts";
import { Bench, type Judge } from "./bench.ts";
import type { Corpus } from "./corpus.ts";
import { KINDS } from "./kinds/index.ts";
import type { Vector } from "./manifest.ts";
import type { Options } from "./options.ts";
import { type Outcome, type Result, type Trouble, Wrong } from "./results.ts";
import { quoted } from "./words.ts";
import type { Workspace } from "./workspace.ts";

/** What vectors are tried with. */
export interface TrialTools {
  readonly corpus: Corpus;
  readonly options: Options;
  readonly workspace: Workspace;
  readonly adapter: Adapter;
  readonly judges: readonly Judge[];
  /** What the program can do, as far as it or the command line says. */
  readonly profiles: readonly string[];
  /** Called when peak memory was to be measured and could not be. */
  readonly noMemory: () => void;
}

/** Tries a vector. @throws {Error} only for what is wrong with the corpus */
export async function tryVector(vector: Vector, tools: TrialTools): Promise<Result> {
  const { corpus, options, workspace, adapter, judges, profiles } = tools;
  const { timeoutMs } = options;
  const folder = workspace.begin(vector.id);
  const bench = new Bench({ vector, corpus, adapter, judges, profiles, folder, timeoutMs });
  let wrong: Wrong | undefined;
  try {
    await KINDS[vector.kind](bench);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    wrong = error;
  }
  if (bench.memoryUnknown) tools.noMemory();
  const kept = workspace.end(vector.id, wrong !== undefined);
  const trouble = wrong === undefined ? undefined : troubleOf(wrong, bench, options, kept);
  return {
    ...resultOf(vector, ...judgedBy(options.known.get(vector.id), wrong?.outcome ?? "pass", trouble)),
    durationMs: bench.durationMs,
    ...(bench.timeMs === undefined ? {} : { timeMs: bench.timeMs }),
    ...(bench.memoryMib === undefined ? {} : { memoryMib: bench.memoryMib }),
  };
}

/** A result of a vector that took no time. */
export function resultOf(vector: Vector, outcome: Outcome, trouble?: Trouble): Result {
  const { id, title, kind, profile, level, requirements } = vector;
  const base = { id, title, kind, profile, level, requirements, outcome, durationMs: 0 };
  return trouble === undefined ? base : { ...base, trouble };
}

/** The outcome beside what the list of known failures says: what passes must not stand in it. */
function judgedBy(
  known: string | undefined,
  outcome: "pass" | "fail" | "crash",
  trouble: Trouble | undefined,
): [outcome: Outcome, trouble?: Trouble] {
  if (known === undefined) return trouble === undefined ? [outcome] : [outcome, trouble];
  if (outcome !== "pass") return ["known failure", { ...trouble, reason: known }];
  return ["fail", { reason: `it passes, but is listed as a known failure (${known}); take it off the list` }];
}

function troubleOf(wrong: Wrong, bench: Bench, { command }: Options, kept: string | undefined): Trouble {
  const { expected, came, differences } = wrong;
  const { corpus, vector } = bench;
  const { input, expect } = vector;
  const inCorpus = input !== null && "file" in input ? corpus.path(input.file) : undefined;
  const fromCorpus = input !== null && "document" in input ? corpus.path(input.document) : inCorpus;
  const place = (field: string): string | undefined => {
    if (!field.startsWith(bench.folder)) return field;
    if (kept !== undefined) return kept + field.slice(bench.folder.length);
    if (field.endsWith("script.ops") && "ops" in expect) return corpus.path(expect.ops);
    if (field.endsWith("output.qdb")) return bench.lastRequest[0] === "read" ? undefined : "output.qdb";
    return field.includes("prefix-") ? undefined : fromCorpus;
  };
  const fields = bench.lastRequest.map(place);
  const isWhole = fields.length > 0 && fields.every((field) => field !== undefined);
  const seen = fields[1] === "-" ? undefined : fields[1];
  return {
    reason: wrong.message,
    ...(expected === undefined ? {} : { expected }),
    ...(came === undefined ? {} : { came }),
    ...(differences.length === 0 ? {} : { differences }),
    ...(seen === undefined ? {} : { input: seen }),
    ...(isWhole ? { repeat: quoted([...command, ...fields.filter((field) => field !== undefined)]) } : {}),
  };
}
