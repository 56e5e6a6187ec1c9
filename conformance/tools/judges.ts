// A program that is asked what is true of a vector: an adapter of another implementation, kept running by the runner's own code.
import { ServeAdapter } from "../../packages/conformance/src/adapter.ts";
import type { Answer } from "../../packages/conformance/src/answer.ts";
import { ROOT } from "./sources.ts";

/** The judges that know every byte of a file: by their name, the command that starts them. */
export const JUDGES: Readonly<Record<string, readonly string[]>> = {
  python: ["python3", `${ROOT}adapters/python/qdb_adapter.py`],
  c: [`${ROOT}c/build/qdb-adapter`],
};

/** A judge may be slow, on a machine that has other things to do. */
const TIMEOUT_MS = 60_000;

/** One judge in server mode; asked one thing at a time. */
export class Judge {
  readonly name: string;
  readonly #adapter: ServeAdapter;

  constructor(name: string, command: readonly string[]) {
    this.name = name;
    this.#adapter = new ServeAdapter(command, TIMEOUT_MS, (text) => process.stderr.write(text));
  }

  /** @throws {Error} when no answer came that counts */
  async ask(...request: readonly string[]): Promise<Answer> {
    const { answer, crash } = await this.#adapter.ask(request);
    if (answer === undefined) throw new Error(`the judge ${this.name}: ${crash}`);
    return answer;
  }

  /** Ends the program. */
  async close(): Promise<void> {
    await this.#adapter.close();
  }
}
