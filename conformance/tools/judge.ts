// A program that is asked what is true of a vector: an adapter of another implementation, kept running.
import { type ChildProcess, spawn } from "node:child_process";
import { ROOT } from "./sources.ts";

/** An answer as the protocol has it. */
export interface Answer {
  readonly ok?: boolean;
  readonly error?: string;
  readonly skip?: string;
  readonly requirement?: string;
  // biome-ignore lint/suspicious/noExplicitAny: a model is what another program says; it is compared, not used.
  readonly model?: any;
  readonly findings?: readonly { code: string; severity: string; repairable: boolean; where?: { bitmap?: string } }[];
  readonly complete?: boolean;
}

/** The judges that know every byte of a file: by their name, the command that starts them. */
export const JUDGES: Readonly<Record<string, readonly string[]>> = {
  python: ["python3", `${ROOT}adapters/python/qdb_adapter.py`],
  c: [`${ROOT}c/build/qdb-adapter`],
};

/** One judge in server mode; asked one thing at a time. */
export class Judge {
  readonly name: string;
  readonly #child: ChildProcess;
  #failure: Error | undefined;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];

  constructor(name: string, command: readonly string[]) {
    this.name = name;
    const [program, ...args] = command;
    this.#child = spawn(program ?? "", [...args, "serve"], { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#child.stdout === null) throw new Error(`${name} has no output`);
    let rest = "";
    // Only LF ends a line: names may hold U+2028, at which node's readline cuts.
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#waiting.shift()?.resolve(line);
    });
    this.#child.on("error", (error) => this.#fail(error));
    this.#child.on("exit", (code, signal) => this.#fail(new Error(`judge ${name} ended (${signal ?? code})`)));
  }

  /** @throws {Error} when the judge ended, or answers with no JSON */
  async ask(verb: string, ...args: readonly string[]): Promise<Answer> {
    if (this.#failure !== undefined) throw this.#failure;
    const line = await new Promise<string>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin?.write(`${["1", verb, ...args].join("\t")}\n`);
    });
    return JSON.parse(line) as Answer;
  }

  /** Ends the program. */
  close(): void {
    this.#child.removeAllListeners("exit");
    this.#child.stdin?.end();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
