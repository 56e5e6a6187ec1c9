import { release, type } from "node:os";
import type { Corpus } from "../corpus/corpus.ts";
import type { Json } from "../text/json.ts";
import { type Result, type Run, summaryOf } from "./results.ts";
import { VERSION } from "./version.ts";

/** Makes the JSON report. Its schema is spec/schema/report.schema.json. */
export function jsonReport(run: Run, corpus: Corpus): Json {
  const summary = summaryOf(run.results);
  const { hello } = run;
  return {
    report_format: 1,
    runner: { name: "@qdb/conformance", version: VERSION, node: process.version, system: `${type()} ${release()}` },
    corpus: { version: corpus.manifest.corpus_version, digest: corpus.manifest.corpus_digest },
    program: {
      command: [...run.command],
      mode: run.mode,
      ...(hello === undefined
        ? {}
        : {
            name: hello.name,
            version: hello.version,
            spec: [...hello.spec],
            profiles: [...hello.profiles],
            features: [...hello.features],
          }),
    },
    profiles: [...run.profiles],
    judges: [...run.judges],
    started: run.started.toISOString(),
    duration_ms: Math.round(run.durationMs),
    summary: { ...summary },
    ok: summary.failed === 0,
    notes: [...run.notes],
    results: [...run.results].sort((a, b) => (a.id < b.id ? -1 : 1)).map(resultJson),
  };
}

function resultJson(result: Result): Json {
  const { id, title, kind, profile, level, outcome, requirements, trouble, durationMs, timeMs, memoryMib } = result;
  return {
    id,
    title,
    kind,
    profile,
    level,
    outcome,
    requirements: requirements.map((rule) => ({ ...rule })),
    duration_ms: Math.round(durationMs * 10) / 10,
    ...(timeMs === undefined ? {} : { time_ms: Math.round(timeMs * 10) / 10 }),
    ...(memoryMib === undefined ? {} : { memory_mib: Math.round(memoryMib * 10) / 10 }),
    ...(trouble === undefined ? {} : { reason: trouble.reason }),
    ...(trouble?.expected === undefined ? {} : { expected: trouble.expected }),
    ...(trouble?.came === undefined ? {} : { came: trouble.came }),
    ...(trouble?.differences === undefined ? {} : { differences: [...trouble.differences] }),
    ...(trouble?.input === undefined ? {} : { input: trouble.input }),
    ...(trouble?.repeat === undefined ? {} : { repeat: trouble.repeat }),
  };
}
