import { type ChildProcess, spawn } from "node:child_process";

/** Maximum length of a line in bytes. A program that writes a longer line is killed. */
const MAX_LINE_BYTES = 256 * 1024 * 1024;
/** Maximum number of lines that are kept. One answer is expected; more are kept only for the report. */
const MAX_LINES = 100;
/** Number of characters of standard error that are kept for a report. */
const STDERR_LENGTH = 2000;

/** How a program ended. `why` is the reason if it could not be run, or if this code killed it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly why?: string;
}

/** All programs that were started and have not ended. */
const running = new Set<Program>();

/** Kills every program that still runs. Called when the runner itself ends. */
export function killAll(): void {
  for (const program of running) program.sendKill();
}

/** A program that was started. Its standard output is read as lines of UTF-8. */
export class Program {
  readonly #child: ChildProcess;
  readonly #done: Promise<Exit>;
  /** Complete lines of standard output that were not read yet. */
  readonly #lines: string[] = [];
  /** The bytes of standard output after the last line feed, and their number. */
  #rest: Buffer[] = [];
  #restLength = 0;
  /** The end of standard error. */
  #stderr = "";
  /** The reason why the program could not be run or was killed. */
  #broken: string | undefined;
  #hasEnded = false;
  /** Resolves the promise of a request that waits for a line or for the exit. */
  #wake: (() => void) | undefined;

  constructor(command: readonly string[], log: (text: string) => void) {
    const [file = "", ...args] = command;
    // The program gets a process group of its own, so that its descendants are killed with it.
    const detached = process.platform !== "win32";
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], detached, windowsHide: true });
    running.add(this);
    this.#done = new Promise((resolve) => {
      this.#child.on("error", (error) => {
        this.#broken ??= `the command cannot be run: ${error.message}`;
        if (this.#child.pid === undefined) this.#end({ code: null, signal: null, why: this.#broken }, resolve);
      });
      this.#child.on("close", (code, signal) => this.#end({ code, signal, ...this.#why() }, resolve));
    });
    this.#child.stdout?.on("data", (piece: Buffer) => this.#take(piece));
    this.#child.stderr?.on("data", (piece: Buffer) => {
      this.#stderr = (this.#stderr + piece.toString("utf8")).slice(-STDERR_LENGTH);
      log(piece.toString("utf8"));
    });
    // Writing to a program that has ended fails. The exit of the program is reported, so this error is ignored.
    this.#child.stdin?.on("error", () => undefined);
  }

  /** Process id; undefined if the program could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Writes a request to standard input and waits for one line. Kills the program after `timeoutMs` milliseconds.
   * @throws {Error} if no line comes, or if a line was waiting before the request; the message says why
   */
  async request(text: string, timeoutMs: number): Promise<string> {
    if (this.#lines.length > 0) throw new Error(`a line that nobody asked for: ${this.#lines[0]?.slice(0, 200)}`);
    this.#child.stdin?.write(text);
    const timer = setTimeout(() => this.#stop(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
    try {
      while (this.#lines.length === 0 && !this.#hasEnded && this.#broken === undefined)
        await new Promise<void>((resolve) => (this.#wake = resolve));
    } finally {
      clearTimeout(timer);
    }
    const line = this.#lines.shift();
    if (line !== undefined && this.#broken === undefined) return line;
    const { code, signal, why } = await this.#done;
    throw new Error(why ?? `the program ended (${signal ?? `exit code ${code}`}) before it answered`);
  }

  /** Closes its standard input. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Waits until the program has ended. Kills it after `timeoutMs` milliseconds. */
  async exit(timeoutMs: number): Promise<Exit> {
    const timer = setTimeout(() => this.#stop(`it did not end within ${timeoutMs / 1000} s`), timeoutMs);
    const exit = await this.#done;
    clearTimeout(timer);
    return exit;
  }

  /** Removes and returns the lines that were not read yet. After the exit, text after the last line feed is a line too. */
  takeLines(): string[] {
    return this.#lines.splice(0);
  }

  /** Returns the end of standard error as a part of a message; an empty string if nothing was written there. */
  describeStderr(): string {
    const text = this.#stderr.trim();
    return text === "" ? "" : `; standard error ends with: ${text.split("\n").slice(-5).join(" | ").slice(-500)}`;
  }

  /** Kills the program and waits until it has ended. */
  async kill(): Promise<void> {
    this.sendKill();
    await this.#done;
  }

  /** Sends SIGKILL to the program and its process group, without waiting. */
  sendKill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#hasEnded) return;
    try {
      process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
    } catch {
      this.#child.kill("SIGKILL");
    }
  }

  /** Kills the program. `why` is reported as the reason, unless there is one already. */
  #stop(why: string): void {
    this.#broken ??= why;
    this.sendKill();
    this.#wake?.();
  }

  #why(): { why?: string } {
    return this.#broken === undefined ? {} : { why: this.#broken };
  }

  #end(exit: Exit, resolve: (exit: Exit) => void): void {
    running.delete(this);
    if (this.#restLength > 0) this.#line(Buffer.concat(this.#rest));
    this.#hasEnded = true;
    resolve({ ...exit, ...this.#why() });
    this.#wake?.();
  }

  /** Splits a piece of standard output into lines. The bytes after the last line feed wait for the next piece. */
  #take(piece: Buffer): void {
    let from = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, from)) {
      this.#line(Buffer.concat([...this.#rest, piece.subarray(from, end)]));
      this.#rest = [];
      this.#restLength = 0;
      from = end + 1;
    }
    this.#rest.push(piece.subarray(from));
    this.#restLength += piece.length - from;
    if (this.#restLength > MAX_LINE_BYTES) this.#stop(`more than ${MAX_LINE_BYTES} bytes in a line`);
    this.#wake?.();
  }

  /** Decodes a line and keeps it until it is read. */
  #line(bytes: Buffer): void {
    try {
      if (this.#lines.length >= MAX_LINES) throw new Error("line after line that nobody asked for");
      this.#lines.push(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch (error) {
      this.#stop(error instanceof TypeError ? "an answer that is no UTF-8" : "line after line that nobody asked for");
    }
  }
}
