// The corpus is what its sources make, and at least two independent judges agree with the author of every vector.
import { readFileSync } from "node:fs";
import { runOf } from "@qdb/cli/test/resident.ts";
import type { Manifest } from "@qdb/conformance/authoring";
import { validator } from "@qdb/conformance/schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { judgeAll } from "../tools/build.ts";
import { makeReader } from "../tools/c-reader.ts";
import { corpusFiles } from "../tools/corpus-files.ts";
import { plain } from "../tools/differences.ts";
import { type JudgedVector, ScratchFiles } from "../tools/judge-vector.ts";
import { openJudges, type VectorJudge } from "../tools/judges.ts";
import { SUITE } from "../tools/places.ts";
import { type Expectation, loadSources, type Source, sourceFiles } from "../tools/sources.ts";
import { differingFiles } from "../tools/write-corpus.ts";
import { temporaryFolder } from "./support/run.ts";

const sources = loadSources();
const REMEDY = "node conformance/tools/build.ts says what is wrong, and writes the corpus when nothing is";

let judges: VectorJudge[] = [];
let judged: JudgedVector[] = [];
beforeAll(async () => {
  makeReader();
  judges = openJudges();
  judged = await judgeAll([...sources.values()], judges);
}, 300_000);
afterAll(async () => {
  for (const judge of judges) await judge.close();
});

test("there are 250 vectors at least", () => {
  expect(sources.size).toBeGreaterThanOrEqual(250);
});

test(`of every vector two judges at least say what its author says (${REMEDY})`, () => {
  const wrong = judged.flatMap(({ source, wrong: lines }) => lines.map((line) => `${source.id}: ${line}`));
  expect(wrong).toEqual([]);
  expect(judged.filter((made) => made.judges.length < 2).map(({ source }) => source.id)).toEqual([]);
});

test("files are read by three: the author, the reference in Python and the reader in C", () => {
  const read = judged.filter(
    ({ source }) => ["read", "limit", "io", "crash"].includes(source.kind) && source.expect.verb !== "check",
  );
  expect(read.filter((made) => made.judges.length < 3).map(({ source }) => source.id)).toEqual([]);
});

test(`the corpus is what its sources make (${REMEDY})`, () => {
  expect(differingFiles(SUITE, corpusFiles(judged, sources))).toEqual([]);
});

test("the manifest has one vector a line", () => {
  const text = readFileSync(`${SUITE}manifest.json`, "utf8");
  const { vectors } = JSON.parse(text) as Manifest;
  const lines = text.split("\n").filter((line) => line.startsWith('  {"id":'));
  expect(lines.map((line) => JSON.parse(line.replace(/,$/, "")))).toEqual(vectors);
  expect(text.split("\n").length).toBeLessThan(vectors.length + 100);
});

test("generated vectors and hand-written vectors lie in different folders", () => {
  const idsOf = (folder: "src" | "src/generated"): string[] =>
    sourceFiles(folder).flatMap((file) => {
      const { vectors } = JSON.parse(readFileSync(SUITE + file, "utf8")) as { vectors: Source[] };
      return vectors.map(({ id }) => id);
    });
  // layout.test.ts holds the generated files to what tools/layout.ts writes.
  expect(sourceFiles("src/generated")).toEqual(["src/generated/matrix.json"]);
  expect(idsOf("src/generated").filter((id) => !id.startsWith("matrix-"))).toEqual([]);
  expect(idsOf("src").filter((id) => id.startsWith("matrix-"))).toEqual([]);
});

test("the manifest is what its schema says; golden files are small, and what is longer is a recipe", () => {
  const manifest = JSON.parse(readFileSync(`${SUITE}manifest.json`, "utf8"));
  const validate = validator("manifest");
  expect({ valid: validate(manifest), errors: validate.errors }).toEqual({ valid: true, errors: null });
  const { vectors } = manifest as Manifest;
  for (const { id, input } of vectors)
    if (input !== null && "file" in input) expect({ id, small: input.length <= 65536 }).toEqual({ id, small: true });
});

/** The same vector with a wrong expected value; undefined when it expects nothing that can be changed. */
function falsified(source: Source): Source | undefined {
  const { expect: value } = source;
  const change = (changes: Partial<Expectation>): Source => ({ ...source, expect: { ...value, ...changes } });
  if (value.error !== undefined) return change({ error: value.error === "LIMIT" ? "BAD_FIELD" : "LIMIT" });
  if (value.findings !== undefined) return change({ findings: [...value.findings, ["TAIL", "noncanonical", false]] });
  if (value.names !== undefined) return change({ names: value.names.slice(1) });
  if (value.allowed !== undefined) return change({ allowed: value.allowed.map(() => ["LIMIT"]) });
  const [name, bits] = Object.entries(value.bitmaps ?? {})[0] ?? [];
  if (name !== undefined)
    return change({
      bitmaps: {
        ...value.bitmaps,
        [name]: typeof bits !== "string" ? [...(bits ?? []), ["1", "1"]] : bits === "LIMIT" ? "IO" : "LIMIT",
      },
    });
  if (value.bitmaps !== undefined) return change({ bitmaps: { none: [] } });
  if (source.kind === "canon")
    return change({ self: false, same_as: "golden-full-two", recipe: { length: 1, parts: [] } });
  return undefined;
}

test("a changed expected value is found, in every vector", async () => {
  const changed = [...sources.values()].map((source) => [source.id, falsified(source)] as const);
  expect(changed.filter(([, source]) => source === undefined).map(([id]) => id)).toEqual([]);
  const wanted = changed.flatMap(([, source]) =>
    source === undefined ? [] : [{ ...source, patch: source.patch ?? [] }],
  );
  // The judge that only reads is quicker, so it is asked first. The other one is asked about what is left.
  let left: readonly Source[] = wanted;
  for (const judge of judges.toReversed())
    left = (await judgeAll(left, [judge])).flatMap(({ source, wrong }) => (wrong.length === 0 ? [source] : []));
  expect(left.map(({ id }) => id)).toEqual([]);
}, 600_000);

const UUID = "00000000-0000-0000-0000-000000000000";
/** Valid values for keys that differ from run to run: an expected form has `*` for them, which no schema allows. */
const STAND_IN: Readonly<Record<string, unknown>> = {
  generation: "1",
  bitmaps_offset: "0",
  bitmaps_size: 0,
  table_checksum: "00000000",
  header_checksum: "00000000",
  l1_table_offset: "0",
  l1_checksum: "00000000",
  extra_data: [],
};

describe("the JSON form", () => {
  const scratch = new ScratchFiles(temporaryFolder());

  test("every expected form validates", () => {
    const validate = validator("qdb");
    for (const { source, model } of judged) {
      if (model === undefined) continue;
      const form = JSON.parse(JSON.stringify(model), (key, value) => (value === "*" ? (STAND_IN[key] ?? UUID) : value));
      for (const bitmap of form.bitmaps) if (bitmap.error !== undefined) bitmap.error.message = "left out";
      const valid = validate(form);
      expect({ id: source.id, valid, errors: validate.errors }).toEqual({ id: source.id, valid: true, errors: null });
    }
  });

  test("qdb dump of every accepted vector validates, and is the expected form", async () => {
    const validate = validator("qdb");
    for (const [at, { source, input, model }] of judged.entries()) {
      if (source.kind !== "read" || source.expect.error !== undefined || input === undefined) continue;
      const { id } = source;
      const { stdout } = await runOf(at, 100)(["dump", scratch.file(input)]);
      scratch.clear();
      const form = JSON.parse(stdout.toString("utf8"));
      const valid = validate(form);
      expect({ id, valid, errors: validate.errors }).toEqual({ id, valid: true, errors: null });
      expect({ id, form: plain(form) }).toEqual({ id, form: model });
    }
  }, 600_000);
});
