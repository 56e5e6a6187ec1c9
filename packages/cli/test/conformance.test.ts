// `qdb conformance` finds the suite where it is installed, gives it the options, and passes its exit code on.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { COMMAND, NODE, qdbFails, temporaryDirectory } from "./built.ts";

const directory = temporaryDirectory();
/** Where no suite is. */
const elsewhere = temporaryDirectory();

/** A place with a suite that prints its arguments and ends as told. */
function place(name: string, code: string): string {
  const cwd = join(directory, name);
  const suite = join(cwd, "node_modules/@qdb/conformance");
  mkdirSync(suite, { recursive: true });
  const manifest = { name: "@qdb/conformance", exports: { "./package.json": "./package.json" } };
  writeFileSync(join(suite, "package.json"), JSON.stringify({ ...manifest, bin: { "qdb-conformance": "./run.cjs" } }));
  writeFileSync(join(suite, "run.cjs"), `console.log(JSON.stringify(process.argv.slice(2)));\n${code}\n`);
  return cwd;
}

function run(cwd: string, command: string, ...args: readonly string[]) {
  // pnpm names a folder of every package in NODE_PATH: the suite would be found from anywhere.
  const env = { ...process.env, NODE_PATH: undefined };
  const { status, stdout, stderr } = spawnSync(NODE, [command, "conformance", ...args], { cwd, env, encoding: "utf8" });
  return { status, stdout, stderr };
}

test("options go to the suite as they were given, the exit code comes back", () => {
  const cwd = place("given", "process.exit(7);");
  const given = ["--exec", "my 'own' program", "--filter=a*", "--filter", "b?", "--once", "-v"];
  expect(run(cwd, COMMAND, ...given)).toEqual({
    status: 7,
    stdout: '["--exec=my \'own\' program","--filter=a*","--filter=b?","--once","--verbose"]\n',
    stderr: "",
  });
});

test("a suite that a signal ends gives what a shell would", () => {
  expect(run(place("signal", "process.kill(process.pid, 'SIGKILL');"), COMMAND, "--list").status).toBe(137);
});

test("the suite is found beside the command too", () => {
  const cwd = place("beside", "");
  mkdirSync(join(cwd, "bin"));
  cpSync(dirname(COMMAND), cwd, { recursive: true });
  symlinkSync("../qdb.cjs", join(cwd, "bin/qdb"));
  expect(run(elsewhere, join(cwd, "bin/qdb"), "--list")).toEqual({ status: 0, stdout: '["--list"]\n', stderr: "" });
});

test("without it, one line says what to type", () => {
  // A copy: beside the built one the repository's own suite is found.
  const command = join(elsewhere, "qdb.cjs");
  cpSync(dirname(COMMAND), elsewhere, { recursive: true });
  const { status, stderr, stdout } = run(elsewhere, command, "--exec=true");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toBe(
    "qdb: [NOT_FOUND] the conformance suite is not installed here; type: npx @qdb/conformance --exec 'COMMAND ARGS'\n",
  );
});

test("without a program to test nothing is looked for", () => {
  expect(qdbFails("USAGE", ["conformance"])).toMatch(/--exec is missing.*try: qdb conformance --help/);
});
