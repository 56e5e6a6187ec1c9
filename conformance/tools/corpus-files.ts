// Makes the files of the corpus from judged vectors: input files, models, scripts, logs, and the manifest.
import { readFileSync } from "node:fs";
import { type Expect, type Input, type Manifest, sha256, type Vector } from "@qdb/conformance/authoring";
import type { JudgedVector } from "./judge-vector.ts";
import { SUITE } from "./places.ts";
import { documentOf, expectedFindings, PROFILE_OF, recipeOf, type Source } from "./sources.ts";

/** Files of the corpus by their path in it. */
export type Files = Map<string, Uint8Array>;

/** Version of the corpus. CHANGELOG.md says what each version changed. */
const CORPUS_VERSION = "1.0.0";
/** Longer input files are published as recipes, in the manifest. */
const MOST_BYTES = 65536;

/** A file of JSON. */
const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, undefined, 1)}\n`);

/** The files of the corpus. @throws {Error} for a vector without an input or an expected value */
export function corpusFiles(judged: readonly JudgedVector[], sources: ReadonlyMap<string, Source>): Files {
  const files: Files = new Map();
  const vectors = judged.map((made) => vectorOf(made, sources, files)).sort((a, b) => (a.id < b.id ? -1 : 1));
  const lines = [...files].map(([path, bytes]) => `${path} ${sha256(bytes)}\n`).sort();
  const manifest: Manifest = {
    manifest_format: 1,
    protocol: 1,
    corpus_version: CORPUS_VERSION,
    corpus_digest: sha256(new TextEncoder().encode(`${lines.join("")}${JSON.stringify(vectors)}`)),
    spec_version: 1,
    notes: JSON.parse(readFileSync(`${SUITE}src/flags.json`, "utf8")) as Record<string, string>,
    counts: countsOf(vectors),
    vectors,
  };
  files.set("manifest.json", new TextEncoder().encode(manifestText(manifest)));
  return files;
}

/** The manifest with one vector a line: a diff shows which vectors changed. */
function manifestText({ vectors, ...head }: Manifest): string {
  const lines = vectors.map((vector) => `  ${JSON.stringify(vector)}`);
  return `${JSON.stringify(head, undefined, 1).replace(/\n}$/, "")},\n "vectors": [\n${lines.join(",\n")}\n ]\n}\n`;
}

function countsOf(vectors: readonly Vector[]): Record<string, number> {
  const counts: Record<string, number> = { total: vectors.length };
  for (const { kind, profile } of vectors) {
    counts[`kind ${kind}`] = (counts[`kind ${kind}`] ?? 0) + 1;
    counts[`profile ${profile}`] = (counts[`profile ${profile}`] ?? 0) + 1;
  }
  return counts;
}

function vectorOf(made: JudgedVector, sources: ReadonlyMap<string, Source>, files: Files): Vector {
  const { source } = made;
  const { id, title, kind, proves = [], breaks = [], expect } = source;
  return {
    id,
    title,
    kind,
    profile: expect.verb === "check" ? "check" : PROFILE_OF[kind],
    features: kind === "io" ? ["io"] : [],
    level: source.level ?? "must",
    ...(source.flags === undefined ? {} : { flags: source.flags }),
    requirements: [
      ...proves.map((rule) => ({ id: rule, polarity: "+" as const })),
      ...breaks.map((rule) => ({ id: rule, polarity: "-" as const })),
    ],
    ...(source.why === undefined ? {} : { why: source.why }),
    since: source.since ?? CORPUS_VERSION,
    input: inputFile(made, sources, files),
    ...(source.parent === undefined ? {} : { parent: source.parent, patch: source.patch ?? [] }),
    expect: expectOf(made, files),
    ...(kind === "limit"
      ? {
          limits: { time_ms: expect.time_ms ?? 2000, memory_mib: expect.memory_mib ?? 64, verb: expect.verb ?? "read" },
        }
      : {}),
  };
}

function inputFile({ source, input }: JudgedVector, sources: ReadonlyMap<string, Source>, files: Files): Input {
  if (source.empty === true) return null;
  const text = documentOf(source);
  if (text !== undefined) {
    files.set(`json/${source.id}.json`, new TextEncoder().encode(text));
    return { document: `json/${source.id}.json` };
  }
  if (input === undefined) throw new Error(`${source.id} has no input`);
  if (input.length > MOST_BYTES) {
    const { length, cut, parts, seals = [] } = recipeOf(source, sources);
    const recipe = { length, ...(cut === undefined ? {} : { cut }), parts, seals };
    return { recipe, length: input.length, digest: input.digest() };
  }
  const bytes = input.bytes();
  files.set(`vectors/${source.id}.qdb`, bytes);
  return { file: `vectors/${source.id}.qdb`, length: bytes.length, sha256: sha256(bytes) };
}

function expectOf(made: JudgedVector, files: Files): Expect {
  const { source } = made;
  const { id, kind, expect } = source;
  const put = (path: string, bytes: Uint8Array): string => {
    files.set(path, bytes);
    return path;
  };
  const script =
    kind === "ops" ? { ops: put(`ops/${id}.ops`, new TextEncoder().encode(`${(source.ops ?? []).join("\n")}\n`)) } : {};
  if (expect.error !== undefined) return { error: expect.error, ...script } as Expect;
  if (expect.findings !== undefined && kind !== "repair")
    return { findings: expectedFindings(expect), complete: expect.complete !== false };
  if (kind === "canon") return canonOf(made, put);
  if (kind === "crash") return { log: put(`logs/${id}.json`, json(crashLog(made, put))) };
  if (made.model === undefined) throw new Error(`${id}: no judge gave a model`);
  const model = expect.names === undefined ? { model: put(`models/${id}.json`, json(made.model)) } : {};
  if (kind === "io")
    return {
      request: [...(expect.request ?? [])],
      bytes: expect.bytes ?? 0,
      rounds: expect.rounds ?? 0,
      ...(expect.names === undefined ? {} : { names: expect.names }),
      ...model,
    };
  if (kind === "repair") return { findings: expectedFindings(expect), ...model } as Expect;
  const others = [
    ...(expect.or_without_records === undefined ? [] : [withoutRecords(made.model, expect.or_without_records)]),
    ...(expect.or_all_ones === true ? [withAllOnes(made.model)] : []),
  ].map((other, at) => put(`models/${id}.or${at === 0 ? "" : at}.json`, json(other)));
  return { ...model, ...script, ...(others.length === 0 ? {} : { any_of: others }) } as Expect;
}

/** The model with the feature bit for all-ones clusters set, and its name. */
function withAllOnes(model: unknown): unknown {
  const form = structuredClone(model) as { header: Record<string, unknown>; extensions: unknown[] };
  form.header.incompatible_features = "0x0000000000000001";
  const names = { type: "0x6803f857", features: [{ kind: "incompatible", bit: 0, name: "all-ones clusters" }] };
  form.extensions.unshift(names);
  return form;
}

/** The model without records of some types. */
function withoutRecords(model: unknown, left: Readonly<Record<string, readonly string[]>>): unknown {
  const form = structuredClone(model) as { bitmaps: { name: string; extra_data?: { type: string }[] }[] };
  for (const bitmap of form.bitmaps) {
    const types = left[bitmap.name];
    if (types !== undefined) bitmap.extra_data = bitmap.extra_data?.filter(({ type }) => !types.includes(type)) ?? [];
  }
  return form;
}

function canonOf({ source, output }: JudgedVector, put: (path: string, bytes: Uint8Array) => string): Expect {
  const { id, expect } = source;
  if (output === undefined) throw new Error(`${id}: no judge wrote it`);
  if (expect.same_as !== undefined) return { same_as: expect.same_as, sha256: sha256(output) };
  if (expect.self === true) return { same_as: id, sha256: sha256(output) };
  return { file: put(`vectors/${id}.canonical.qdb`, output), sha256: sha256(output) };
}

function crashLog(
  { source, states = {}, steps = [] }: JudgedVector,
  put: (path: string, bytes: Uint8Array) => string,
): unknown {
  const named = Object.entries(states).map(([name, model]) => [
    name,
    put(`models/${source.id}.${name}.json`, json(model)),
  ]);
  return { states: Object.fromEntries(named), steps, allowed: source.expect.allowed };
}
