import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, onTestFinished } from "vitest";
import { packageOf } from "../../../cli/test/peers.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const directory = mkdtempSync(join(tmpdir(), "qdb-scripts-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const bundles = new Map<string, string>();

/** The path of a script, named from this directory, with all that it imports, from the packages' sources: one file starts in half the time of sixty. */
export function bundleOf(script: string): string {
  const known = bundles.get(script);
  if (known !== undefined) return known;
  const path = join(directory, basename(script).replace(/ts$/, "mjs"));
  buildSync({
    entryPoints: [here(script)],
    outfile: path,
    alias: {
      "@qdb/format": here("../../../format/src/index.ts"),
      "@qdb/format/container": here("../../../format/src/container.ts"),
      "@qdb/format/internal": here("../../../format/src/internal.ts"),
    },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
  });
  bundles.set(script, path);
  return path;
}

/** The command line that runs a script of this directory. */
export function scriptCommand(script: string, ...args: readonly string[]): [string, ...string[]] {
  return [process.execPath, bundleOf(script), ...args];
}

/** The environment of such a script: every call on a file in one thread, so that calls can be counted, and no packages of this repository. */
export function scriptEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NODE_PATH: _path, ...environment } = process.env;
  const NODE_COMPILE_CACHE = join(directory, "compile-cache");
  return { ...environment, NODE_COMPILE_CACHE, UV_USE_IO_URING: "0", UV_THREADPOOL_SIZE: "1" };
}

/** How a script ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line to its end; `programs` names what to install where it is missing. */
export function runToEnd(line: readonly [string, ...string[]]): Ended {
  const [program, ...args] = line;
  const result = spawnSync(program, args, { encoding: "utf8", env: scriptEnvironment() });
  if (result.error) {
    throw new Error(`${program} is missing: apt-get install ${packageOf(program)}`, {
      cause: result.error,
    });
  }
  return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}

/** A script that runs beside the test, and is ended with it. */
export class Child {
  readonly #process: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";

  constructor(script: string, ...args: readonly string[]) {
    const [program, ...rest] = scriptCommand(script, ...args);
    const child = spawn(program, rest, { env: scriptEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    child.stdout.on("data", (data: Buffer) => {
      this.#stdout += data.toString();
    });
    child.stderr.on("data", (data: Buffer) => {
      this.#stderr += data.toString();
    });
    this.#ended = new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status, signal) => {
        resolve({ status, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await this.#ended;
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** Waits until it has printed a line. */
  async says(line: string): Promise<void> {
    while (!this.#stdout.split("\n").includes(line)) {
      const ended = await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, 5))]);
      if (ended !== undefined && !this.#stdout.split("\n").includes(line)) {
        throw new Error(`the script ended without saying ${line}: ${this.#stdout}${this.#stderr}`);
      }
    }
  }

  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Waits for its end. */
  async ended(): Promise<Ended> {
    return this.#ended;
  }
}
