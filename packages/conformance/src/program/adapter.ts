// The two ways to send requests of the protocol to a program (conformance/IMPLEMENTERS.md, Protocol 1).
import { messageOf } from "../text/messages.ts";
import { type Answer, parseAnswer } from "./parse-answer.ts";
import { type Growth, PeakMemory, QueueTime } from "./process-metrics.ts";
import { type Exit, Program } from "./program.ts";

/** The result of a request: an answer, or the reason why there is none. */
export interface Asked {
  /** Undefined if no valid answer came; `crash` then says why. */
  readonly answer?: Answer;
  readonly crash?: string;
  /** Milliseconds from the request to the answer. */
  readonly ms: number;
  /** Milliseconds of `ms` in which the program or the runner could run, but waited for a processor. Undefined if this was not measured. */
  readonly queuedMs?: number;
  /** Growth of the program's peak memory. Undefined if it was not measured, or cannot be measured here. */
  readonly growth?: Growth;
}

/** Options of a request. */
export interface AskOptions {
  /** Time limit of this request in milliseconds, in place of that of the adapter. */
  readonly timeoutMs?: number;
  /** Whether to measure peak memory and the time of waiting for a processor. Only {@link ServeAdapter} can. */
  readonly measure?: boolean;
}

/** A program that answers requests. If it crashes, the next request starts it again. */
export interface Adapter {
  /** Sends a request, given as verb and arguments, and waits for the answer. Does not throw if the program fails: see `crash`. */
  ask(fields: readonly string[], options?: AskOptions): Promise<Asked>;
  /** Ends the program. Returns what was wrong with its end, or undefined. */
  close(): Promise<string | undefined>;
}

/** Starts `COMMAND VERB ARGUMENT...` for each request. The answer is its output and exit code. */
export class OnceAdapter implements Adapter {
  readonly #command: readonly string[];
  readonly #timeoutMs: number;
  readonly #log: (text: string) => void;

  constructor(command: readonly string[], timeoutMs: number, log: (text: string) => void) {
    this.#command = command;
    this.#timeoutMs = timeoutMs;
    this.#log = log;
  }

  async ask(fields: readonly string[], options: AskOptions = {}): Promise<Asked> {
    const started = performance.now();
    const program = new Program([...this.#command, ...fields], this.#log);
    program.endInput();
    const exit = await program.exit(options.timeoutMs ?? this.#timeoutMs);
    const ms = performance.now() - started;
    try {
      return { answer: this.#answerOf(program, exit), ms };
    } catch (error) {
      return { crash: `${messageOf(error)}${program.describeStderr()}`, ms };
    }
  }

  /**
   * Parses the output of a program that has ended.
   * @throws {Error} if the output is not exactly one valid answer, or if the exit code is not the one of the answer
   */
  #answerOf(program: Program, exit: Exit): Answer {
    if (exit.why !== undefined) throw new Error(exit.why);
    if (exit.signal !== null) throw new Error(`the program was ended by ${exit.signal}`);
    const [line, ...more] = program.takeLines();
    if (exit.code !== 0 && exit.code !== 1 && exit.code !== 3)
      throw new Error(`exit code ${exit.code}, but 0, 1 and 3 are the answers`);
    if (line === undefined) throw new Error(`exit code ${exit.code}, but no answer on standard output`);
    if (more.length > 0) throw new Error(`${more.length + 1} lines on standard output, but one is the answer`);
    const answer = parseAnswer(line, undefined);
    const due = { ok: 0, refused: 1, skip: 3 }[answer.kind];
    if (exit.code !== due)
      throw new Error(`exit code ${exit.code} beside an answer whose exit code is ${due}: ${line.slice(0, 200)}`);
    return answer;
  }

  async close(): Promise<undefined> {
    return undefined;
  }
}

/** Keeps `COMMAND serve` running and sends it one request a line. Starts it again after it has crashed. */
export class ServeAdapter implements Adapter {
  readonly #command: readonly string[];
  readonly #timeoutMs: number;
  readonly #log: (text: string) => void;
  #program: Program | undefined;
  #requests = 0;

  constructor(command: readonly string[], timeoutMs: number, log: (text: string) => void) {
    this.#command = command;
    this.#timeoutMs = timeoutMs;
    this.#log = log;
  }

  async ask(fields: readonly string[], options: AskOptions = {}): Promise<Asked> {
    this.#program ??= new Program([...this.#command, "serve"], this.#log);
    const program = this.#program;
    const id = `${++this.#requests}`;
    const isMeasured = options.measure === true;
    const peak = isMeasured ? PeakMemory.begin(program.pid) : undefined;
    const queue = isMeasured ? QueueTime.begin(program.pid) : undefined;
    const started = performance.now();
    try {
      const line = await program.request(`${[id, ...fields].join("\t")}\n`, options.timeoutMs ?? this.#timeoutMs);
      const ms = performance.now() - started;
      const queuedMs = queue?.end() ?? 0;
      const growth = peak?.end();
      const answer = parseAnswer(line, id);
      const [extra] = program.takeLines();
      if (extra !== undefined) throw new Error(`a second answer to one request: ${extra.slice(0, 200)}`);
      return { answer, ms, queuedMs, ...(growth === undefined ? {} : { growth }) };
    } catch (error) {
      const ms = performance.now() - started;
      this.#program = undefined;
      await program.kill();
      return { crash: `${messageOf(error)}${program.describeStderr()}`, ms };
    }
  }

  async close(): Promise<string | undefined> {
    const program = this.#program;
    this.#program = undefined;
    if (program === undefined) return undefined;
    program.endInput();
    const { why, code, signal } = await program.exit(this.#timeoutMs);
    const [extra] = program.takeLines();
    if (extra !== undefined) return `after the last answer came ${extra.slice(0, 200)}`;
    if (why !== undefined) return `the input ended, but ${why}`;
    if (code === 0) return undefined;
    return `at the end of the input the exit code was ${signal ?? code}, 0 is due${program.describeStderr()}`;
  }
}
