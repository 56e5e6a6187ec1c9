// The built command in a process that stays, for tests of many calls: a start of Node takes ten times as long as most of them.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { COMMAND, expectRefused, expectSilent, type Ran } from "./built.ts";

const SERVER = fileURLToPath(new URL("resident.cjs", import.meta.url));

/** Runs `qdb` as often as it is told, each time from its first line, with the Node that QDB_NODE names; what is called gets no standard input. */
export class ResidentQdb {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    this.#child = spawn(process.env.QDB_NODE ?? process.execPath, [SERVER, COMMAND], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, NODE_OPTIONS: undefined },
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Runs it to its end, at which it has no file open that it opened. */
  async run(args: readonly string[]): Promise<Ran> {
    this.#child.stdin.write(`${JSON.stringify(args)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`the process ended at qdb ${args.join(" ")}`);
    const { status, stdout, stderr, left } = JSON.parse(value);
    expect({ args, left }).toEqual({ args, left: [] });
    return { status, stdout: Buffer.from(stdout, "base64"), stderr };
  }

  /** Runs `qdb`, which must succeed in silence on standard error, and gives its standard output as text. */
  async qdb(...args: readonly string[]): Promise<string> {
    return expectSilent(args, await this.run(args));
  }

  /** Runs `qdb`, which must fail with one line that has the code, and gives that line. */
  async qdbFails(code: string, args: readonly string[]): Promise<string> {
    return expectRefused(code, args, await this.run(args));
  }

  close(): void {
    this.#child.stdin.end();
  }
}
