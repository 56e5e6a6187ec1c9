import { type ChildProcess, spawn } from "node:child_process";

/** Bytes of an answer at most; a program that writes without end is ended. */
const MOST_BYTES = 256 * 1024 * 1024;
/** Lines that may wait to be read: one answer is due, the others only make the report say more. */
const MOST_LINES = 100;
/** Characters of standard error that are kept for a report. */
const LAST_WORDS = 2000;

/** How a program ended; `why` when it had to be ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly why?: string;
}

const running = new Set<Program>();

/** Ends every program that still runs, at once; for the end of the runner itself. */
export function killAll(): void {
  for (const program of running) program.signal();
}

/** A program that was started, with its output as lines. */
export class Program {
  readonly #child: ChildProcess;
  readonly #done: Promise<Ended>;
  readonly #lines: string[] = [];
  #rest: Buffer[] = [];
  #restLength = 0;
  #errors = "";
  #broken: string | undefined;
  #over = false;
  #wake: (() => void) | undefined;

  constructor(command: readonly string[], log: (text: string) => void) {
    const [file = "", ...args] = command;
    // A group of its own, so that what it starts is ended with it.
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
      this.#errors = (this.#errors + piece.toString("utf8")).slice(-LAST_WORDS);
      log(piece.toString("utf8"));
    });
    // Who has ended reads no more: the end itself is what gets reported.
    this.#child.stdin?.on("error", () => undefined);
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a request and waits for one line. @throws {Error} what came in its place */
  async request(text: string, timeoutMs: number): Promise<string> {
    if (this.#lines.length > 0) throw new Error(`a line that nobody asked for: ${this.#lines[0]?.slice(0, 200)}`);
    this.#child.stdin?.write(text);
    const timer = setTimeout(() => this.#stop(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
    try {
      while (this.#lines.length === 0 && !this.#over && this.#broken === undefined)
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

  /** Waits for its end, and brings it about after a time. */
  async ended(timeoutMs: number): Promise<Ended> {
    const timer = setTimeout(() => this.#stop(`it did not end within ${timeoutMs / 1000} s`), timeoutMs);
    const ended = await this.#done;
    clearTimeout(timer);
    return ended;
  }

  /** Lines that came and were not asked for yet; at the end what stands behind the last line feed too. */
  takeLines(): string[] {
    return this.#lines.splice(0);
  }

  /** The end of what it wrote to standard error, for a report. */
  lastWords(): string {
    const words = this.#errors.trim();
    return words === "" ? "" : `; standard error ends with: ${words.split("\n").slice(-5).join(" | ").slice(-500)}`;
  }

  /** Ends it and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal();
    await this.#done;
  }

  /** Ends it and what it started, at once. */
  signal(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#over) return;
    try {
      process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
    } catch {
      this.#child.kill("SIGKILL");
    }
  }

  #stop(why: string): void {
    this.#broken ??= why;
    this.signal();
    this.#wake?.();
  }

  #why(): { why?: string } {
    return this.#broken === undefined ? {} : { why: this.#broken };
  }

  #end(ended: Ended, resolve: (ended: Ended) => void): void {
    running.delete(this);
    if (this.#restLength > 0) this.#line(Buffer.concat(this.#rest));
    this.#over = true;
    resolve({ ...ended, ...this.#why() });
    this.#wake?.();
  }

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
    if (this.#restLength > MOST_BYTES) this.#stop(`more than ${MOST_BYTES} bytes in a line`);
    this.#wake?.();
  }

  #line(bytes: Buffer): void {
    try {
      if (this.#lines.length >= MOST_LINES) throw new Error("line after line that nobody asked for");
      this.#lines.push(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch (error) {
      this.#stop(error instanceof TypeError ? "an answer that is no UTF-8" : "line after line that nobody asked for");
    }
  }
}
