import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { measuredEnvironment } from "../setup/environment.ts";

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: readonly string[]];

/** What one run of a program took. */
export interface Ran {
  /** Nanoseconds that went by. */
  readonly wall: number;
  /** Nanoseconds of processor time, of all threads, and of the processes that the program waited for. */
  readonly processor: number;
  /** Most memory that the program had resident, in bytes. */
  readonly peak: number;
  /** Exit code, or minus the signal. */
  readonly exit: number;
  readonly stderr: string;
}

/** Seconds after which a run is ended. */
const LIMIT = 300;

/** Runs programs under the one in C that measures them, without a shell. */
export class Runner {
  readonly #path: string;
  readonly #folder: string;

  /** `path` is the compiled `floor/run.c`; outputs that are wanted go through files in `folder`. */
  constructor(path: string, folder: string) {
    this.#path = path;
    this.#folder = folder;
  }

  /**
   * Runs a program to its end, whatever its exit code is. Its output goes to a file, or nowhere.
   * @throws {Error} if it takes more than `limit` seconds
   */
  run(command: Command, output = "/dev/null", limit = LIMIT): Ran {
    const { error, stdout, stderr, status } = spawnSync(this.#path, [String(limit), output, ...command], {
      env: measuredEnvironment(),
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    if (error !== undefined) throw error;
    const numbers = stdout.trim().split(" ").map(Number);
    const [wall, processor, kibibytes, exit] = numbers;
    if (wall === undefined || processor === undefined || kibibytes === undefined || exit === undefined)
      throw new Error(`${command.join(" ")} was not measured: exit ${status} ${stderr}`);
    if (wall >= limit * 1e9) throw new Error(`${command.join(" ")} took more than ${limit} s`);
    return { wall, processor, peak: kibibytes * 1024, exit, stderr };
  }

  /** Runs a program that has to succeed. @throws {Error} with what it said, if it does not */
  succeed(command: Command, output?: string): Ran {
    const ran = this.run(command, output);
    if (ran.exit !== 0) throw new Error(`${command.join(" ")}: exit ${ran.exit} ${ran.stderr}`);
    return ran;
  }

  /** Runs a program, and returns its output and how it ended. */
  capture(command: Command): Ran & { readonly output: Buffer } {
    const path = join(this.#folder, "output");
    try {
      const ran = this.run(command, path);
      return { ...ran, output: readFileSync(path) };
    } finally {
      rmSync(path, { force: true });
    }
  }

  /** Runs a program that has to succeed, and returns its output. @throws {Error} with what it said, if it does not */
  outputOf(command: Command): Buffer {
    const { exit, stderr, output } = this.capture(command);
    if (exit !== 0) throw new Error(`${command.join(" ")}: exit ${exit} ${stderr}`);
    return output;
  }
}

/** Returns why programs cannot be run: the first of them that is not installed. */
export function missingProgram(...programs: readonly string[]): string | undefined {
  const absent = programs.find((program) =>
    (process.env.PATH ?? "").split(delimiter).every((folder) => !isExecutable(join(folder, program))),
  );
  return absent === undefined ? undefined : `${absent} is not installed`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
