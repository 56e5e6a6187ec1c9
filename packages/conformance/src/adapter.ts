import { type Answer, parseAnswer } from "./answer.ts";
import { type Growth, PeakMemory, QueueTime } from "./measure.ts";
import { type Ended, Program } from "./program.ts";

/** What came of a request. */
export interface Asked {
  /** Undefined when no answer came that counts; `crash` then says why. */
  readonly answer?: Answer;
  readonly crash?: string;
  readonly ms: number;
  /** What of it was spent waiting for a processor, where it was measured. */
  readonly queuedMs?: number;
  /** How far the program's peak memory grew, where it was measured. */
  readonly growth?: Growth;
}

/** What a request may need beyond its words. */
export interface AskOptions {
  readonly timeoutMs?: number;
  readonly measure?: boolean;
}

/** A program that answers requests. Whatever happens to it, it can be asked again. */
export interface Adapter {
  ask(fields: readonly string[], options?: AskOptions): Promise<Asked>;
  /** Ends the program; gives what was wrong with its end. */
  close(): Promise<string | undefined>;
}

/** Starts the command for one request and reads its answer and exit code. */
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
    const ended = await program.ended(options.timeoutMs ?? this.#timeoutMs);
    const ms = performance.now() - started;
    try {
      return { answer: this.#answerOf(program, ended), ms };
    } catch (error) {
      return { crash: `${messageOf(error)}${program.lastWords()}`, ms };
    }
  }

  #answerOf(program: Program, ended: Ended): Answer {
    if (ended.why !== undefined) throw new Error(ended.why);
    if (ended.signal !== null) throw new Error(`the program was ended by ${ended.signal}`);
    const [line, ...more] = program.takeLines();
    if (ended.code !== 0 && ended.code !== 1 && ended.code !== 3)
      throw new Error(`exit code ${ended.code}, where 0, 1 or 3 is an answer`);
    if (line === undefined) throw new Error(`exit code ${ended.code}, but no answer on standard output`);
    if (more.length > 0) throw new Error(`${more.length + 1} lines on standard output, where one is the answer`);
    const answer = parseAnswer(line, undefined);
    const due = { ok: 0, refused: 1, skip: 3 }[answer.kind];
    if (ended.code !== due)
      throw new Error(`exit code ${ended.code} beside an answer whose exit code is ${due}: ${line.slice(0, 200)}`);
    return answer;
  }

  async close(): Promise<undefined> {
    return undefined;
  }
}

/** Keeps the command running as `COMMAND serve`, and starts it again when it is lost. */
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
      return { crash: `${messageOf(error)}${program.lastWords()}`, ms };
    }
  }

  async close(): Promise<string | undefined> {
    const program = this.#program;
    this.#program = undefined;
    if (program === undefined) return undefined;
    program.endInput();
    const { why, code, signal } = await program.ended(this.#timeoutMs);
    const [extra] = program.takeLines();
    if (extra !== undefined) return `after the last answer came ${extra.slice(0, 200)}`;
    if (why !== undefined) return `the input ended, but ${why}`;
    if (code === 0) return undefined;
    return `at the end of the input the exit code was ${signal ?? code}, 0 is due${program.lastWords()}`;
  }
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
