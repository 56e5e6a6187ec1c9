// The built command, run as its users run it: with the Node that QDB_NODE names.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";

/** The built command, to be run with Node. */
export const COMMAND: string = fileURLToPath(new URL("../dist/qdb.cjs", import.meta.url));

/** Node as the users have it. */
export const NODE: string = process.env.QDB_NODE ?? process.execPath;

/** What a run of the command gave. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs `qdb` to its end. */
export function runQdb(
  args: readonly string[],
  options: { input?: Uint8Array | string; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Ran {
  const env = { ...process.env, NODE_OPTIONS: undefined, ...options.env };
  const { input, cwd } = options;
  const result = spawnSync(NODE, [COMMAND, ...args], {
    env,
    maxBuffer: 2 ** 30,
    ...(cwd === undefined ? {} : { cwd }),
    ...(input === undefined ? {} : { input }),
  });
  if (result.error !== undefined) throw result.error;
  return { status: result.status, stdout: result.stdout, stderr: result.stderr.toString("utf8") };
}

/** What a run must be that succeeds in silence on standard error; gives its standard output as text. */
export function expectSilent(args: readonly string[], { status, stdout, stderr }: Ran): string {
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: "" });
  return stdout.toString("utf8");
}

/** What a run must be that fails with one line that has the code; gives that line. */
export function expectRefused(code: string, args: readonly string[], { status, stdout, stderr }: Ran): string {
  expect({ args, stdout: stdout.toString("utf8"), stderr }).toEqual({
    args,
    stdout: "",
    stderr: expect.stringMatching(/^qdb: \[[A-Z_]+\] [^\n]+\n$/),
  });
  expect(stderr).toMatch(new RegExp(`^qdb: \\[${code}\\] `));
  expect(status).toBe(code === "USAGE" ? 2 : 1);
  return stderr;
}

/** Runs `qdb`, which must succeed in silence on standard error, and gives its standard output as text. */
export function qdb(...args: readonly string[]): string {
  return expectSilent(args, runQdb(args));
}

/** Runs `qdb`, which must fail with one line that has the code, and gives that line. */
export function qdbFails(code: string, args: readonly string[], options: Parameters<typeof runQdb>[1] = {}): string {
  return expectRefused(code, args, runQdb(args, options));
}

/** A directory for the tests of a file, gone after them. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "qdb-cli-test-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
