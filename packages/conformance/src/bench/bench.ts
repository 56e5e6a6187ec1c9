import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Corpus } from "../corpus/corpus.ts";
import type { Vector } from "../corpus/manifest.ts";
import type { Adapter, Asked, AskOptions } from "../program/adapter.ts";
import type { DoneOrRefused } from "../program/parse-answer.ts";
import type { JsonObject } from "../text/json.ts";
import { messageOf, shorten } from "../text/messages.ts";
import { InputFile } from "./input-file.ts";
import { VectorFailure } from "./vector-failure.ts";

/** A second program, which reads what the program under test wrote. */
export interface Judge {
  readonly name: string;
  readonly adapter: Adapter;
  /** The profiles that the judge claims. */
  readonly profiles: readonly string[];
}

/** What a vector is tried with. */
export interface BenchOptions {
  readonly vector: Vector;
  readonly corpus: Corpus;
  /** The program under test. */
  readonly adapter: Adapter;
  readonly judges: readonly Judge[];
  /** The profiles that the program under test claims. */
  readonly profiles: readonly string[];
  /** An empty folder for the files of the vector. */
  readonly folder: string;
  /** Time limit of a request in milliseconds. */
  readonly timeoutMs: number;
}

/** Everything that one try of a vector needs: its files, requests to the program under test and to the judges, and measurements. */
export class Bench {
  readonly vector: Vector;
  readonly corpus: Corpus;
  readonly judges: readonly Judge[];
  readonly profiles: readonly string[];
  readonly folder: string;
  readonly timeoutMs: number;
  /** The fields of the last request. A report shows how to repeat it. */
  lastRequest: readonly string[] = [];
  /** Milliseconds that all requests took together. */
  durationMs = 0;
  /** Limit vectors only: the shortest time of a request in milliseconds, and the smallest growth of peak memory in MiB. */
  timeMs: number | undefined;
  memoryMib: number | undefined;
  /** Whether peak memory could not be measured, although the vector has a limit of it. */
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

  /**
   * Returns the path of a file with the input of the vector, which is written at the first call; `-` if the vector has no input.
   * @throws {Error} if the corpus is damaged
   */
  input(): string {
    const { input } = this.vector;
    if (input === null) return "-";
    const name = "document" in input ? "input.json" : "input.qdb";
    this.#input ??= new InputFile(this.path(name), this.corpus.bytes(input));
    return this.#input.path;
  }

  /** Returns the path of a file in the folder of the vector. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /**
   * Sends a request to the program under test.
   * @throws {VectorFailure} if there is no valid answer, if the request was skipped, or if the input file was changed
   */
  async ask(
    fields: readonly string[],
    options: AskOptions = {},
  ): Promise<DoneOrRefused & Pick<Asked, "ms" | "queuedMs" | "growth">> {
    this.lastRequest = fields;
    const asked = await this.#adapter.ask(fields, options);
    this.durationMs += asked.ms;
    const answer = answerOf(asked, fields, "");
    const change = this.#input?.findChange();
    if (change !== undefined) throw new VectorFailure("fail", `${fields[0]} must leave the input alone: ${change}`);
    const { ms, queuedMs = 0, growth } = asked;
    return { ...answer, ms, queuedMs, ...(growth === undefined ? {} : { growth }) };
  }

  /**
   * Ends the program under test, starts it again and waits until it answers.
   * @throws {VectorFailure} if it does not end with exit code 0 and without further output, or does not answer
   */
  async restart(): Promise<void> {
    const end = await this.#adapter.close();
    if (end !== undefined) throw new VectorFailure("crash", end);
    const { crash } = await this.#adapter.ask(["hello"]);
    if (crash !== undefined) throw new VectorFailure("crash", `no answer to hello: ${crash}`);
  }

  /**
   * Sends a request to every judge that claims the profile with the name of the verb.
   * @throws {VectorFailure} if a judge gives no valid answer or skips the request
   */
  async askJudges(fields: readonly string[]): Promise<{ readonly judge: Judge; readonly answer: DoneOrRefused }[]> {
    const answers = [];
    for (const judge of this.judges) {
      if (!judge.profiles.includes(fields[0] ?? "")) continue;
      const asked = await judge.adapter.ask(fields);
      answers.push({ judge, answer: answerOf(asked, fields, ` of the judge ${judge.name}`) });
    }
    return answers;
  }

  /**
   * Sends a request that writes the file `out`. The file must exist exactly if the request was done.
   * @throws {VectorFailure} as {@link ask}; if the file does not exist although the request was done, or exists although it was refused
   */
  async askToWrite(fields: readonly string[], out: string): Promise<DoneOrRefused> {
    rmSync(out, { recursive: true, force: true });
    const answer = await this.ask(fields);
    if (answer.kind === "refused" && existsSync(out))
      throw new VectorFailure(
        "fail",
        `${fields[0]} was refused with ${answer.error}, but ${basename(out)} is there: all or none`,
      );
    if (answer.kind === "ok" && !(existsSync(out) && statSync(out).isFile()))
      throw new VectorFailure("fail", `${fields[0]} was done, but there is no file ${basename(out)}`);
    return answer;
  }
}

/** Returns the body of an answer. `expected` describes it for a report. @throws {VectorFailure} if the request was refused */
export function requireDone(answer: DoneOrRefused, expected: string): JsonObject {
  if (answer.kind === "ok") return answer.body;
  const reason = `refused with ${answer.error}, but it is to be done`;
  throw new VectorFailure("fail", reason, { expected, came: answerText(answer) });
}

/** Requires that a request was refused with a code. @throws {VectorFailure} if it was done, or refused with another code */
export function requireRefused(answer: DoneOrRefused, code: string): void {
  if (answer.kind === "refused" && answer.error === code) return;
  const reason =
    answer.kind === "ok"
      ? `accepted, but ${code} is expected`
      : `refused with ${answer.error}, but ${code} is expected`;
  throw new VectorFailure("fail", reason, { expected: `refused with ${code}`, came: answerText(answer) });
}

/** Returns a part of an answer, as `read` finds it. @throws {VectorFailure} with the message of `read`, if `read` throws */
export function requirePart<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new VectorFailure("fail", messageOf(error));
  }
}

/** Returns the answer to a request. @throws {VectorFailure} if there is none, or if it is a skip: a claimed profile may skip nothing */
function answerOf({ answer, crash }: Asked, fields: readonly string[], whose: string): DoneOrRefused {
  if (answer === undefined) throw new VectorFailure("crash", `no answer${whose} to ${fields[0]}: ${crash}`);
  if (answer.kind === "skip")
    throw new VectorFailure(
      "fail",
      `the verb ${fields[0]}${whose} was skipped inside a claimed profile: ${answer.reason}`,
    );
  return answer;
}

/** Returns an answer as one line for a report. */
export function answerText(answer: DoneOrRefused): string {
  return shorten(JSON.stringify(answer.body), 600);
}

/** Reads a file. Returns undefined if it is longer than `maxLength` bytes. */
export function readIfShort(path: string, maxLength = 64 * 1024 * 1024): Buffer | undefined {
  return statSync(path).size > maxLength ? undefined : readFileSync(path);
}
