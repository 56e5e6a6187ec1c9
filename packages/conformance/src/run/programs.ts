import { basename } from "node:path";
import type { Judge } from "../bench/bench.ts";
import { type Adapter, OnceAdapter, ServeAdapter } from "../program/adapter.ts";
import { askHello } from "../program/hello.ts";
import { messageOf } from "../text/messages.ts";
import { type Options, UsageError } from "./options.ts";

/** Makes adapters for the program under test and for the judges. Each adapter starts a process of its own at its first request. */
export class Programs {
  readonly #options: Options;
  readonly #log: (text: string) => void;

  /** `log` receives the standard error of all programs. */
  constructor(options: Options, log: (text: string) => void) {
    this.#options = options;
    this.#log = log;
  }

  /** The names of the judges. */
  get judgeNames(): string[] {
    return this.#options.judges.map(nameOf);
  }

  /** Makes an adapter for the program under test. */
  adapter(): Adapter {
    return this.#adapterFor(this.#options.command);
  }

  /** Starts all judges. @throws {UsageError} if one does not answer `hello` */
  async startJudges(): Promise<Judge[]> {
    return Promise.all(this.#options.judges.map((command) => startJudge(command, this.#adapterFor(command))));
  }

  #adapterFor(command: readonly string[]): Adapter {
    const { once, timeoutMs } = this.#options;
    const AdapterClass = once ? OnceAdapter : ServeAdapter;
    return new AdapterClass(command, timeoutMs, this.#log);
  }
}

async function startJudge(command: readonly string[], adapter: Adapter): Promise<Judge> {
  try {
    return { name: nameOf(command), adapter, profiles: (await askHello(adapter)).profiles };
  } catch (error) {
    throw new UsageError(`--judge ${command.join(" ")}: it does not answer hello: ${messageOf(error)}`);
  }
}

/** Returns the words of a command without the folders of paths. */
function nameOf(command: readonly string[]): string {
  return command.map((word) => basename(word)).join(" ");
}
