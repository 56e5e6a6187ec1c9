import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Adapter, Asked, AskOptions } from "./adapter.ts";
import { messageOf } from "./adapter.ts";
import { type JsonObject, shorten } from "./answer.ts";
import type { Corpus } from "./corpus.ts";
import type { Vector } from "./manifest.ts";
import { Wrong } from "./results.ts";
import { InputFile } from "./workspace.ts";

/** A further program that reads what the one under test wrote. */
export interface Judge {
  readonly name: string;
  readonly adapter: Adapter;
  readonly profiles: readonly string[];
}

/** An answer that counts: done or refused. */
export type Said =
  | { readonly kind: "ok"; readonly body: JsonObject }
  | { readonly kind: "refused"; readonly error: string; readonly body: JsonObject };

/** What one vector is tried with. */
export interface BenchOptions {
  readonly vector: Vector;
  readonly corpus: Corpus;
  readonly adapter: Adapter;
  readonly judges: readonly Judge[];
  readonly profiles: readonly string[];
  readonly folder: string;
  readonly timeoutMs: number;
}

/** The place where one vector is tried: its files, the program under test, and what was asked of it. */
export class Bench {
  readonly vector: Vector;
  readonly corpus: Corpus;
  readonly judges: readonly Judge[];
  readonly profiles: readonly string[];
  readonly folder: string;
  readonly timeoutMs: number;
  /** The request that was made last, for who wants to repeat it. */
  lastRequest: readonly string[] = [];
  durationMs = 0;
  timeMs: number | undefined;
  memoryMib: number | undefined;
  /** Set when peak memory was to be measured and could not be. */
  memoryUnknown = false;
  readonly #adapter: Adapter;
  #input: InputFile | undefined;

  constructor(options: BenchOptions) {
    this.vector = options.vector;
    this.corpus = options.corpus;
    this.#adapter = options.adapter;
    this.judges = options.judges;
    this.profiles = options.profiles;
    this.folder = options.folder;
    this.timeoutMs = options.timeoutMs;
  }

  /** The vector's input as a file of its own; `-` where it has none. @throws {Error} a damaged corpus */
  input(): string {
    const { input } = this.vector;
    if (input === null) return "-";
    const name = "document" in input ? "input.json" : "input.qdb";
    this.#input ??= new InputFile(this.path(name), this.corpus.bytes(input));
    return this.#input.path;
  }

  /** A path in the vector's folder. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Asks the program under test. @throws {Wrong} when no answer came that counts, or the input is not what it was */
  async ask(
    fields: readonly string[],
    options: AskOptions = {},
  ): Promise<Said & Pick<Asked, "ms" | "queuedMs" | "growth">> {
    this.lastRequest = fields;
    const asked = await this.#adapter.ask(fields, options);
    this.durationMs += asked.ms;
    const said = answerOf(asked, fields, "");
    const change = this.#input?.change();
    if (change !== undefined) throw new Wrong("fail", `${fields[0]} must leave the input alone: ${change}`);
    const { ms, queuedMs = 0, growth } = asked;
    return { ...said, ms, queuedMs, ...(growth === undefined ? {} : { growth }) };
  }

  /** Starts the program under test anew and waits until it answers. @throws {Wrong} when it did not end well */
  async startAnew(): Promise<void> {
    const end = await this.#adapter.close();
    if (end !== undefined) throw new Wrong("crash", end);
    const { crash } = await this.#adapter.ask(["hello"]);
    if (crash !== undefined) throw new Wrong("crash", `no answer to hello: ${crash}`);
  }

  /** Asks every judge that claims the profile of the verb. @throws {Wrong} when one gives no answer */
  async askJudges(fields: readonly string[]): Promise<{ readonly judge: Judge; readonly said: Said }[]> {
    const said = [];
    for (const judge of this.judges) {
      if (!judge.profiles.includes(fields[0] ?? "")) continue;
      said.push({ judge, said: answerOf(await judge.adapter.ask(fields), fields, ` of the judge ${judge.name}`) });
    }
    return said;
  }

  /** A request that writes: refused, it leaves no output. @throws {Wrong} as {@link ask} */
  async askToWrite(fields: readonly string[], out: string): Promise<Said> {
    rmSync(out, { recursive: true, force: true });
    const said = await this.ask(fields);
    if (said.kind === "refused" && existsSync(out))
      throw new Wrong(
        "fail",
        `${fields[0]} was refused with ${said.error}, but ${basename(out)} is there: all or none`,
      );
    if (said.kind === "ok" && !(existsSync(out) && statSync(out).isFile()))
      throw new Wrong("fail", `${fields[0]} was done, but there is no file ${basename(out)}`);
    return said;
  }

  /** The body of an answer that had to be ok. @throws {Wrong} for a refusal */
  done(said: Said, expected: string): JsonObject {
    if (said.kind === "ok") return said.body;
    throw new Wrong("fail", `refused with ${said.error}, where it is to be done`, { expected, came: cameOf(said) });
  }

  /** @throws {Wrong} unless it was refused with the code */
  refused(said: Said, code: string): void {
    if (said.kind === "refused" && said.error === code) return;
    const reason =
      said.kind === "ok" ? `accepted, where ${code} is due` : `refused with ${said.error}, where ${code} is due`;
    throw new Wrong("fail", reason, { expected: `refused with ${code}`, came: cameOf(said) });
  }

  /** Reads something out of an answer. @throws {Wrong} when the answer does not have it */
  fromAnswer<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw new Wrong("fail", messageOf(error));
    }
  }
}

/** The answer of a request. @throws {Wrong} crash, and a skip: who claims a profile answers */
function answerOf({ answer, crash }: Asked, fields: readonly string[], whose: string): Said {
  if (answer === undefined) throw new Wrong("crash", `no answer${whose} to ${fields[0]}: ${crash}`);
  if (answer.kind === "skip")
    throw new Wrong("fail", `the verb ${fields[0]}${whose} was skipped inside a claimed profile: ${answer.reason}`);
  return answer;
}

/** An answer for a report, in a line. */
export function cameOf(said: Said): string {
  return shorten(JSON.stringify(said.body), 600);
}

/** The bytes of a file that is not too long to be compared whole; undefined for one that is. */
export function bytesOf(path: string, most = 64 * 1024 * 1024): Buffer | undefined {
  return statSync(path).size > most ? undefined : readFileSync(path);
}
