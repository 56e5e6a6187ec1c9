// The judges: programs of other implementations, asked what is in the file of a vector. The runner's code talks to them.
import { type Answer, ServeAdapter } from "@qdb/conformance/authoring";
import { SUITE } from "./places.ts";

/** The judges that read whole files, by name, and the commands that start them. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  python: ["python3", `${SUITE}adapters/python/qdb_adapter.py`],
  c: [`${SUITE}c/build/qdb-adapter`],
};

/** A request may take long on a busy machine. */
const TIMEOUT_MS = 60_000;

/** A judge that serves requests, one at a time. */
export class VectorJudge {
  readonly name: string;
  readonly #adapter: ServeAdapter;

  constructor(name: string, command: readonly string[]) {
    this.name = name;
    this.#adapter = new ServeAdapter(command, TIMEOUT_MS, (text) => process.stderr.write(text));
  }

  /** Asks a request of the protocol. @throws {Error} when the judge gives no valid answer */
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

/** Starts judges, all of them by default. @throws {Error} for an unknown name */
export function openJudges(names: readonly string[] = Object.keys(COMMANDS)): VectorJudge[] {
  return names.map((name) => {
    const command = COMMANDS[name];
    if (command === undefined) throw new Error(`there is no judge ${name}: ${Object.keys(COMMANDS).join(", ")}`);
    return new VectorJudge(name, command);
  });
}
