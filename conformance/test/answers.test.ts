// The corpus and the answers of the TypeScript adapters, held against the schemas that others rely on.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Manifest } from "../../packages/conformance/src/manifest.ts";
import { NODE, temporaryFolder } from "../../packages/conformance/test/support/run.ts";
import { validator } from "../../packages/conformance/test/support/schema.ts";

const conformance = fileURLToPath(new URL("../", import.meta.url));
const manifest: Manifest = JSON.parse(readFileSync(`${conformance}manifest.json`, "utf8"));
const folder = temporaryFolder();

test("the manifest is as its schema says", () => {
  const validate = validator("manifest");
  expect(validate(manifest), JSON.stringify(validate.errors?.slice(0, 3))).toBe(true);
});

/** A vector of each kind and verdict that has a file. */
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
    const path = input !== null && "file" in input ? conformance + input.file : "";
    if (kind === "ops" && "ops" in expected) return [["apply", path, conformance + expected.ops, join(out, id)]];
    if (kind === "canon" || kind === "repair") return [[kind, path, join(out, id)]];
    if (kind === "io" && "request" in expected) return [["read", path, ...expected.request]];
    return [
      ["read", path],
      ["check", path],
    ];
  });
  const all = [["hello"], ["read", join(out, "nosuch")], ["nosuch"], ...requests];
  const { stdout, status } = spawnSync(NODE, [`${conformance}adapters/ts/build/${name}.cjs`, "serve"], {
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
