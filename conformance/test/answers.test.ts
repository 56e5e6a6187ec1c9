// The answers of the TypeScript adapters are valid by the schemas of the specification.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Manifest } from "@qdb/conformance/authoring";
import { validator } from "@qdb/conformance/schema-validator";
import { expect, test } from "vitest";
import { SUITE } from "../tools/places.ts";
import { NODE, temporaryFolder } from "./support/run.ts";

const manifest: Manifest = JSON.parse(readFileSync(`${SUITE}manifest.json`, "utf8"));
const folder = temporaryFolder();

/** One vector with an input file for each kind and verdict. */
function samples(): Manifest["vectors"] {
  const seen = new Map<string, Manifest["vectors"][number]>();
  for (const vector of manifest.vectors) {
    const { kind, input, expect: expected } = vector;
    if (input === null || !("file" in input)) continue;
    seen.set(`${kind} ${"error" in expected}`, vector);
  }
  return [...seen.values()];
}

test.each(["io-node", "format"])("the answers of the adapter %s are as the schema says", (name) => {
  const out = mkdtempSync(join(folder, `${name}-`));
  const requests = samples().flatMap(({ id, kind, input, expect: expected }) => {
    const path = input !== null && "file" in input ? SUITE + input.file : "";
    if (kind === "ops" && "ops" in expected) return [["apply", path, SUITE + expected.ops, join(out, id)]];
    if (kind === "canon" || kind === "repair") return [[kind, path, join(out, id)]];
    if (kind === "io" && "request" in expected) return [["read", path, ...expected.request]];
    return [
      ["read", path],
      ["check", path],
    ];
  });
  const all = [["hello"], ["read", join(out, "nosuch")], ["nosuch"], ...requests];
  const { stdout, status } = spawnSync(NODE, [`${SUITE}adapters/ts/build/${name}.cjs`, "serve"], {
    encoding: "utf8",
    input: all.map((fields, at) => `${[at, ...fields].join("\t")}\n`).join(""),
  });
  const answers = stdout.split("\n").filter(Boolean);
  expect({ status, answers: answers.length }).toEqual({ status: 0, answers: all.length });
  const validate = validator("response");
  const model = validator("qdb");
  for (const [at, line] of answers.entries()) {
    const answer = JSON.parse(line);
    expect(answer.id).toBe(`${at}`);
    expect(validate(answer), `${all[at]?.join(" ")}: ${line} ${JSON.stringify(validate.errors)}`).toBe(true);
    const isWhole = answer.model !== undefined && all[at]?.length === 2;
    if (isWhole) expect(model(answer.model), JSON.stringify(model.errors)).toBe(true);
  }
});
