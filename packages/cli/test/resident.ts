// The built command in a process that stays, for tests of many calls: a start of Node takes ten times as long as most of them.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";
import { COMMAND, expectSilent, NODE, type Ran, runQdb } from "./built.ts";

const SERVER = fileURLToPath(new URL("resident.cjs", import.meta.url));

/** Runs `qdb` to its end. */
export type Run = (args: readonly string[]) => Promise<Ran>;

interface Resident {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly answers: AsyncIterator<string>;
}

let resident: Resident | undefined;
afterAll(() => resident?.child.stdin.end());

function start(): Resident {
  const child = spawn(NODE, [SERVER, COMMAND], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: undefined },
  });
  return { child, answers: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

/** When a file is written to while a command runs: before the call to the file system that has the number `at`. */
export interface Moment {
  readonly at: number;
  /** The file that is written to; calls on files beside it are counted. */
  readonly changed: string;
}

/** A call to the file system: its name in Node, and the path. */
export type FsCall = readonly [name: string, path: string];

/**
 * Runs `qdb` from its first line, with the Node that QDB_NODE names, in the process that ran it before; one call at a time,
 * without standard input. It must not leave a file open, which a process that ends would hide.
 */
const runResident: Run = async (args) => (await ask({ args })).ran;

/** The same, while a file is written to; tells the calls to the file system too. */
export async function runMoment(
  args: readonly string[],
  moment: Moment,
): Promise<Ran & { readonly calls: readonly FsCall[] }> {
  const { ran, calls } = await ask({ args, moment });
  return { ...ran, calls };
}

async function ask(question: {
  readonly args: readonly string[];
  readonly moment?: Moment;
}): Promise<{ readonly ran: Ran; readonly calls: readonly FsCall[] }> {
  resident ??= start();
  resident.child.stdin.write(`${JSON.stringify(question)}\n`);
  const { value, done } = await resident.answers.next();
  if (done) throw new Error(`the process ended at qdb ${question.args.join(" ")}`);
  const { status, stdout, stderr, calls, left } = JSON.parse(value);
  expect({ args: question.args, left }).toEqual({ args: question.args, left: [] });
  return { ran: { status, stdout: Buffer.from(stdout, "base64"), stderr }, calls };
}

/** How the n-th of many calls or tests that are alike runs `qdb`: every tenth as users do, or one of so many. */
export function runOf(n: number, every = 10): Run {
  return n % every === 0 ? async (args) => runQdb(args) : runResident;
}

/** The same, for calls that must succeed in silence on standard error; gives standard output as text. */
export function qdbOf(n: number, every = 10): (...args: readonly string[]) => Promise<string> {
  const run = runOf(n, every);
  return async (...args) => expectSilent(args, await run(args));
}
