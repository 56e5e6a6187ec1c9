// The package as users get it: packed, unpacked in another folder, and run against a program that knows nothing of this project.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { NODE, temporaryFolder } from "./support/run.ts";

const folder = temporaryFolder();
const own = fileURLToPath(new URL("..", import.meta.url));
const program = fileURLToPath(new URL("foreign/reader.py", import.meta.url));

let command = "";
beforeAll(() => {
  // Not npm: only pnpm, which publishes the package, applies publishConfig.
  const packed = spawnSync("pnpm", ["pack", "--pack-destination", folder], { cwd: own, encoding: "utf8" });
  expect(packed).toMatchObject({ status: 0 });
  const [archive = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  const place = join(folder, "node_modules", "@qdb", "conformance");
  mkdirSync(place, { recursive: true });
  spawnSync("tar", ["-xzf", join(folder, archive), "-C", place, "--strip-components=1"]);
  const manifest = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
  expect(manifest.dependencies).toBeUndefined();
  command = join(place, manifest.bin["qdb-conformance"]);
}, 300_000);

test("every entry point leads to a file of the package", () => {
  const place = dirname(createRequire(join(folder, "x.cjs")).resolve("@qdb/conformance/package.json"));
  const { exports } = JSON.parse(readFileSync(join(place, "package.json"), "utf8")) as { exports: object };
  expect(Object.keys(exports)).toEqual(["./package.json", "./manifest.json", "./corpus/*", "./schema/*"]);
  for (const target of Object.values(exports)) expect(existsSync(join(place, target.replace("*", "")))).toBe(true);
});

test("forty lines of Python pass their first vectors with the packed runner", () => {
  const run = (...args: string[]) => spawnSync(NODE, [command, ...args], { cwd: folder, encoding: "utf8" });
  const listed = run("--list", "--profile", "read", "--filter", "hdr-*").stdout.split("\n").filter(Boolean);
  expect(listed.length).toBeGreaterThan(0);
  const copy = join(folder, "reader.py");
  writeFileSync(copy, readFileSync(program), { mode: 0o755 });
  expect(readFileSync(program, "utf8").trimEnd().split("\n").length).toBeLessThanOrEqual(40);
  for (const mode of [[], ["--once"]]) {
    const ran = run("--exec", `python3 ${copy}`, "--filter", "hdr-magic*", ...mode);
    expect(ran.stdout).toMatch(/^program {3}forty-lines 0\.1$/m);
    expect(ran.stdout).toMatch(/\nconformance: [1-9]\d* passed, 0 failed, \d+ skipped\n$/);
    expect(ran.status).toBe(0);
  }
  const whole = run("--exec", `python3 ${copy}`, "--filter", "hdr-*");
  expect(whole.status).toBe(1);
}, 300_000);

test("what the README tells to type prints what it says", () => {
  const readme = readFileSync(join(own, "README.md"), "utf8");
  const [, lines = ""] = /^```sh\n([^`]*)^```$/m.exec(readme) ?? [];
  const [, said] = /# (conformance: .*)$/m.exec(lines) ?? [];
  const elsewhere = join(folder, "readme");
  mkdirSync(elsewhere);
  const script = `npx() { shift; "${NODE}" "${command}" "$@"; }\n${lines}`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script], { cwd: elsewhere, encoding: "utf8" });
  expect(stderr).toBe("");
  const counts = stdout.match(/^conformance: .*$/gm);
  expect(counts).toEqual([said, expect.stringMatching(/^conformance: [1-9]\d* passed, [1-9]\d* failed, \d+ skipped$/)]);
}, 300_000);
