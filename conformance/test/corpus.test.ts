// The corpus: what its sources make, and what judges who never saw each other's code say of it.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runOf } from "../../packages/cli/test/resident.ts";
import type { Manifest } from "../../packages/conformance/src/manifest.ts";
import { validator } from "../../packages/format/test/support/json.ts";
import { openJudges, tryAll } from "../tools/build.ts";
import { makeReader } from "../tools/c-reader.ts";
import { corpusFiles } from "../tools/corpus-files.ts";
import { plain } from "../tools/differences.ts";
import { type Trial, Workbench } from "../tools/judge-vector.ts";
import type { Judge } from "../tools/judges.ts";
import { type Expectation, loadSources, ROOT, type Source } from "../tools/sources.ts";
import { differingFiles } from "../tools/write-corpus.ts";

const sources = loadSources();
const REMEDY = "node conformance/tools/build.ts says what is wrong, and writes the corpus when nothing is";

let judges: Judge[] = [];
let trials: Trial[] = [];
beforeAll(async () => {
  makeReader();
  judges = openJudges();
  trials = await tryAll([...sources.values()], judges);
}, 300_000);
afterAll(async () => {
  for (const judge of judges) await judge.close();
});

test("there are 250 vectors at least", () => {
  expect(sources.size).toBeGreaterThanOrEqual(250);
});

test(`of every vector two judges at least say what its author says (${REMEDY})`, () => {
  const wrong = trials.flatMap(({ source, wrong: lines }) => lines.map((line) => `${source.id}: ${line}`));
  expect(wrong).toEqual([]);
  expect(trials.filter((made) => made.judges.length < 2).map(({ source }) => source.id)).toEqual([]);
});

test("files are read by three: the author, the reference in Python and the reader in C", () => {
  const read = trials.filter(
    ({ source }) => ["read", "limit", "io", "crash"].includes(source.kind) && source.expect.verb !== "check",
  );
  expect(read.filter((made) => made.judges.length < 3).map(({ source }) => source.id)).toEqual([]);
});

test(`the corpus is what its sources make (${REMEDY})`, () => {
  expect(differingFiles(ROOT, corpusFiles(trials, sources))).toEqual([]);
});

test("the manifest is what its schema says; golden files are small, and what is longer is a recipe", () => {
  const manifest = JSON.parse(readFileSync(`${ROOT}manifest.json`, "utf8"));
  const validate = validator("manifest");
  expect({ valid: validate(manifest), errors: validate.errors }).toEqual({ valid: true, errors: null });
  const { vectors } = manifest as Manifest;
  for (const { id, input } of vectors)
    if (input !== null && "file" in input) expect({ id, small: input.length <= 65536 }).toEqual({ id, small: true });
});

/** The same vector with another expected value; undefined where it expects nothing that could be another. */
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
  // The quick judge first, which reads only; the other one is asked for the rest.
  let left: readonly Source[] = wanted;
  for (const judge of judges.toReversed())
    left = (await tryAll(left, [judge])).flatMap(({ source, wrong }) => (wrong.length === 0 ? [source] : []));
  expect(left.map(({ id }) => id)).toEqual([]);
}, 600_000);

const UUID = "00000000-0000-0000-0000-000000000000";
/** Values for keys that differ from run to run, for which an expected form has `*`. */
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
  const directory = mkdtempSync(join(tmpdir(), "qdb-dump-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const bench = new Workbench(directory);

  test("every expected form validates", () => {
    const validate = validator("qdb");
    for (const { source, model } of trials) {
      if (model === undefined) continue;
      const form = JSON.parse(JSON.stringify(model), (key, value) => (value === "*" ? (STAND_IN[key] ?? UUID) : value));
      for (const bitmap of form.bitmaps) if (bitmap.error !== undefined) bitmap.error.message = "left out";
      const valid = validate(form);
      expect({ id: source.id, valid, errors: validate.errors }).toEqual({ id: source.id, valid: true, errors: null });
    }
  });

  test("qdb dump of every accepted vector validates, and is the expected form", async () => {
    const validate = validator("qdb");
    for (const [at, { source, input, model }] of trials.entries()) {
      if (source.kind !== "read" || source.expect.error !== undefined || input === undefined) continue;
      const { id } = source;
      const { stdout } = await runOf(at)(["dump", bench.file(input)]);
      bench.clear();
      const form = JSON.parse(stdout.toString("utf8"));
      const valid = validate(form);
      expect({ id, valid, errors: validate.errors }).toEqual({ id, valid: true, errors: null });
      expect({ id, form: plain(form) }).toEqual({ id, form: model });
    }
  }, 600_000);
});
