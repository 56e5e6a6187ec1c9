// Runs the built command with one fault in its calls of the system (shim.c), and tells which calls it made.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { COMMAND, NODE } from "../built.ts";

/** What a call does: r read, w write and all that changes a file or a name, f flush, o open, s stat and the like, c close, l lock. */
export type CallClass = "r" | "w" | "f" | "o" | "s" | "c" | "l";

/** A call on a file in the watched folder. */
export interface MadeCall {
  readonly class: CallClass;
  readonly name: string;
  /** What it gave; undefined where the process was killed in it. */
  readonly result: number | undefined;
  readonly errno: number;
  /** Bytes; -1 where the call has none. */
  readonly offset: number;
  readonly length: number;
  readonly path: string;
  /** The second path of link and rename. */
  readonly path2: string;
}

/** How a run ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  /** Empty where it goes to a file. */
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly MadeCall[];
}

/** Compiles the shim into a folder. @throws {Error} what gcc says */
export function compileShim(folder: string): string {
  const shim = join(folder, "shim.so");
  const source = fileURLToPath(new URL("shim.c", import.meta.url));
  const options = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"];
  const { status, error, stderr } = spawnSync("gcc", [...options, "-o", shim, source, "-ldl"], { encoding: "utf8" });
  if (status !== 0) throw new Error(`gcc cannot compile the shim: ${error ?? stderr}`);
  return shim;
}

/** What runs need besides the arguments. */
export interface RunOptions {
  /** Where {@link compileShim} put it. */
  readonly shim: string;
  /** The watched folder, an absolute path without links. */
  readonly folder: string;
  /** As shim.c has it: AT KIND ERRNO CLASSES. */
  readonly fault?: string;
  /** File that standard output goes to. */
  readonly stdout?: string | undefined;
  /** A program to run the command under, with its arguments. */
  readonly under?: readonly string[];
}

/** Runs `qdb` as users do, with a fault if one is given. */
export async function runWithFault(
  args: readonly string[],
  { shim, folder, fault = "0 none 0 -", stdout, under = [] }: RunOptions,
): Promise<Ended> {
  const log = `${folder}.log`;
  rmSync(log, { force: true });
  const env = {
    ...process.env,
    NODE_OPTIONS: undefined,
    LD_PRELOAD: shim,
    QDB_FAULTS_DIR: folder,
    QDB_FAULTS_LOG: log,
    QDB_FAULTS: fault,
  };
  const out = stdout === undefined ? undefined : openSync(stdout, "wx");
  const [program = "", ...rest] = [...under, NODE, COMMAND, ...args];
  const child = spawn(program, rest, { env, stdio: ["ignore", out ?? "pipe", "pipe"] });
  if (out !== undefined) closeSync(out);
  const texts = Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  const [status, signal] = await once(child, "exit");
  // What is said of a file is the same in any folder.
  const [said = "", complained = ""] = (await texts).map((text) => text.replaceAll(`${folder}/`, ""));
  return { status, signal, stdout: said, stderr: complained, calls: readLog(log) };
}

async function textOf(stream: AsyncIterable<Buffer> | null): Promise<string> {
  const pieces: Buffer[] = [];
  if (stream !== null) for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

function readLog(path: string): MadeCall[] {
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [kind = "", name = "", result = "", errno, offset, length, file = "", file2 = ""] = line.split("\t");
    return {
      class: kind as CallClass,
      name,
      result: result === "?" ? undefined : Number(result),
      errno: Number(errno),
      offset: Number(offset),
      length: Number(length),
      path: file,
      path2: file2.trimEnd(),
    };
  });
}
