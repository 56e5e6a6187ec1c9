import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { measuredEnvironment } from "../setup/environment.ts";
import { peakOf, resetPeak } from "./memory.ts";

/** One run of an operation. */
export interface Run {
  readonly nanoseconds: number;
  readonly answer: string;
}

/**
 * A contestant in a process of its own. It reads the name of an operation from its input, a line, and answers with a line: nanoseconds and
 * the answer. Between its lines it waits, so that several can be measured in turn.
 */
export class Child {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #name: string;

  private constructor(name: string, command: string, args: readonly string[]) {
    this.#name = name;
    const child = spawn(command, args, { env: measuredEnvironment(), stdio: ["pipe", "pipe", "inherit"] });
    this.#process = child;
    // A command that cannot be started ends its output, which `#line` reports.
    child.on("error", () => undefined);
    child.stdin.on("error", () => undefined);
    this.#reader = createInterface({ input: child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Starts a contestant and waits until its data is loaded. Errors call it `name`. @throws {Error} if it cannot be started */
  static async start(name: string, command: string, args: readonly string[]): Promise<Child> {
    const child = new Child(name, command, args);
    const line = await child.#line();
    if (line !== "ready") throw new Error(`${child.#name} began with ${line}`);
    return child;
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#name} ended without an answer`);
    if (value.startsWith("error ")) throw new Error(value.slice(6));
    return value;
  }

  /** Runs an operation once. @throws {Error} if it fails */
  async run(operation: string): Promise<Run> {
    this.#process.stdin?.write(`${operation}\n`);
    const line = await this.#line();
    const [nanoseconds = "", answer = ""] = line.split(" ");
    if (!/^\d+$/.test(nanoseconds)) throw new Error(`${this.#name} answered ${line} to ${operation}`);
    return { nanoseconds: Number(nanoseconds), answer };
  }

  /** Begins to look at the memory of the process. */
  resetPeak(): void {
    if (this.#process.pid !== undefined) resetPeak(this.#process.pid);
  }

  /** The most memory that the process had since `resetPeak`, in bytes; undefined if it is not known, or if the process has ended. */
  get peak(): number | undefined {
    return this.#process.pid === undefined ? undefined : peakOf(this.#process.pid);
  }

  /** Ends the process at once. */
  kill(): void {
    this.#reader.close();
    this.#process.kill();
  }
}
