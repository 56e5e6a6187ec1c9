// A corpus of a format that is not QDB, by hand: the runner is tested with no help of what it tests.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Manifest, Vector } from "../../src/corpus/manifest.ts";
import { materialise } from "../../src/corpus/recipe.ts";
import type { Json } from "../../src/text/json.ts";

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const HEADER = { form: "full", file_id: "f", generation: "1" };
const MODEL = { header: HEADER, bitmaps: [{ name: "a" }] };
const FOUND = { code: "LEAK", severity: "leak", repairable: true };

/** What every toy vector has, and what it says in its input file. */
type Toy = Pick<Vector, "id" | "kind" | "profile" | "expect"> & Partial<Vector> & { readonly text?: string };

/** Writes the corpus into a folder. */
export function writeToyCorpus(folder: string): void {
  for (const name of ["vectors", "models", "ops", "logs"]) mkdirSync(join(folder, name), { recursive: true });
  const put = (path: string, text: string): string => (writeFileSync(join(folder, path), text), path);
  const model = (id: string, value: Json): { model: string } => ({
    model: put(`models/${id}.json`, JSON.stringify(value)),
  });
  const one = JSON.stringify(MODEL);
  const sparse = { length: "1099511627776", parts: [[0, "text", one]], seals: [] };
  const grown = { header: { ...HEADER, generation: "9" }, bitmaps: [{ name: "a" }, { name: "b" }] };
  const vectors: Toy[] = [
    { id: "toy-read", kind: "read", profile: "read", text: one, expect: model("toy-read", MODEL) },
    { id: "toy-refused", kind: "read", profile: "read", text: "E:BAD_FIELD", expect: { error: "BAD_FIELD" } },
    {
      id: "toy-sparse",
      kind: "read",
      profile: "read",
      input: { recipe: sparse, length: sparse.length, digest: materialise(sparse).digest() },
      expect: { model: "models/toy-read.json" },
    },
    {
      id: "toy-crash",
      kind: "crash",
      profile: "read",
      text: one,
      expect: {
        log: put(
          "logs/toy-crash.json",
          JSON.stringify({
            states: { old: "models/toy-read.json" },
            steps: [["write", 0, Buffer.from("E:BAD_MAGIC\0").toString("hex")], ["fsync"], ["cut", 0]],
            allowed: [["old"], ["old", "BAD_MAGIC"], ["BAD_MAGIC"], ["BAD_MAGIC"]],
          }),
        ),
      },
    },
    {
      id: "toy-io",
      kind: "io",
      profile: "read",
      features: ["io"],
      text: one,
      expect: { request: ["list"], bytes: 4096, rounds: 2, names: ["a"] },
    },
    {
      id: "toy-limit",
      kind: "limit",
      profile: "read",
      text: JSON.stringify({ limit: true }),
      expect: model("toy-limit", { limit: true }),
      limits: { time_ms: 1000, memory_mib: 100, verb: "read" },
    },
    {
      id: "toy-clean",
      kind: "check",
      profile: "check",
      text: one,
      expect: { findings: [], complete: true },
    },
    {
      id: "toy-leak",
      kind: "check",
      profile: "check",
      text: JSON.stringify({ findings: [FOUND] }),
      expect: { findings: [FOUND], complete: true },
    },
    {
      id: "toy-canon",
      kind: "canon",
      profile: "write",
      text: ` ${one}`,
      expect: { same_as: "toy-read", sha256: sha256(one) },
    },
    {
      id: "toy-add",
      kind: "ops",
      profile: "update",
      text: one,
      expect: { ...model("toy-add", grown), ops: put("ops/toy-add.ops", "b\n") },
    },
    {
      id: "toy-make",
      kind: "ops",
      profile: "update",
      input: null,
      expect: {
        ...model("toy-make", { header: { ...HEADER, file_id: "*" }, bitmaps: [{ name: "b" }] }),
        ops: put("ops/toy-make.ops", "create\nb\n"),
      },
    },
    {
      id: "toy-add-refused",
      kind: "ops",
      profile: "update",
      text: one,
      expect: { error: "NOT_FOUND", ops: put("ops/toy-add-refused.ops", "b\nrefuse\n") },
    },
    {
      id: "toy-repair",
      kind: "repair",
      profile: "repair",
      text: JSON.stringify({ ...MODEL, findings: [FOUND] }),
      expect: { findings: [], model: "models/toy-read.json" },
    },
  ];
  const whole = vectors.map(({ text, ...toy }): Vector => {
    const input =
      text === undefined
        ? null
        : { file: put(`vectors/${toy.id}.qdb`, text), length: Buffer.byteLength(text), sha256: sha256(text) };
    const requirements = [{ id: "QDB-TOY-001", polarity: "-" as const }];
    return { title: `Toy ${toy.id}`, features: [], level: "must", requirements, since: "1.0.0", input, ...toy };
  });
  seal(folder, whole);
}

/** Writes the manifest of what the folder holds. */
export function seal(folder: string, vectors: readonly Vector[]): void {
  const lines = ["vectors", "models", "ops", "logs"].flatMap((name) =>
    readdirSync(join(folder, name)).map(
      (file) => `${name}/${file} ${sha256(readFileSync(join(folder, name, file)))}\n`,
    ),
  );
  const manifest: Manifest = {
    manifest_format: 1,
    protocol: 1,
    corpus_version: "0.0.1",
    corpus_digest: sha256(`${lines.sort().join("")}${JSON.stringify(vectors)}`),
    spec_version: 1,
    notes: {},
    counts: { total: vectors.length },
    vectors,
  };
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
}
