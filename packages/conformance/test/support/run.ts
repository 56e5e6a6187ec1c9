// The built runner, run as its users run it: with the Node that QDB_NODE names.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { writeToyCorpus } from "./toy-corpus.ts";

/** Node as the users have it. */
export const NODE: string = process.env.QDB_NODE ?? process.execPath;
/** The built runner. */
export const RUNNER: string = fileURLToPath(new URL("../../dist/conformance.cjs", import.meta.url));

/** A folder for the tests of a file, gone after them. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "qdb-conformance-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const folder = temporaryFolder();
/** The toy corpus. */
export const CORPUS: string = join(folder, "corpus");
writeToyCorpus(CORPUS);

/** The command of a toy adapter. */
export function adapter(name: string): string {
  return `'${NODE}' '${fileURLToPath(new URL(`../adapters/${name}.mjs`, import.meta.url))}'`;
}

/** What a run gave. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly lastLine: string;
}

/** Runs the runner with a temporary folder of its own; `left` is what it left there. */
export function runner(...args: readonly string[]): Ran & { readonly left: readonly string[] } {
  const own = mkdtempSync(join(folder, "tmp-"));
  const { status, stdout, stderr, error } = spawnSync(NODE, [RUNNER, ...args], {
    encoding: "utf8",
    env: { ...process.env, TMPDIR: own, NODE_OPTIONS: undefined },
  });
  if (error !== undefined) throw error;
  const left = spawnSync("ls", ["-A", own], { encoding: "utf8" }).stdout.split("\n").filter(Boolean);
  return { status, stdout, stderr, lastLine: stdout.trimEnd().split("\n").at(-1) ?? "", left };
}

/** A result in the JSON report. */
export interface Reported {
  readonly id: string;
  readonly outcome: string;
  readonly reason?: string;
}

/** Runs a toy adapter on the toy corpus and gives what its report says. */
export function tryToy(name: string, ...args: readonly string[]) {
  const path = join(mkdtempSync(join(folder, "report-")), "report.json");
  const ran = runner("--corpus", CORPUS, "--exec", adapter(name), "--report-json", path, ...args);
  const report: { readonly ok: boolean; readonly results: readonly Reported[]; readonly notes: readonly string[] } =
    JSON.parse(readFileSync(path, "utf8"));
  const ids = (...outcomes: readonly string[]): string[] =>
    report.results
      .filter(({ outcome }) => outcomes.includes(outcome))
      .map(({ id }) => id)
      .sort();
  const reasonOf = (id: string): string => report.results.find((result) => result.id === id)?.reason ?? "";
  return { ...ran, report, ids, reasonOf };
}
