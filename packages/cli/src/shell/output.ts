import { writeSync } from "node:fs";
import { QdbError } from "@qdb/format";
import pc from "picocolors";

/** Bytes that come together before they are written. */
const BUFFER_SIZE = 1024 * 1024;

/** Colours of the terminal; each gives the text as it is where colours are off. */
export type Colors = ReturnType<typeof pc.createColors>;

/** The reader of standard output has gone away: no error to speak of. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/** Whether a stream gets colours: a terminal that has them, and nobody said NO_COLOR. */
export function wantsColor(isTerminal: boolean, env: NodeJS.ProcessEnv = process.env): boolean {
  return isTerminal && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
}

/** Standard output: buffered, written synchronously, in big pieces. Everything from outside must have gone through `quote` or `quoteJson`. */
export class Output {
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  readonly colors: Colors;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  #used = 0;
  #hasLeft = false;

  constructor(isTerminal: boolean = process.stdout.isTTY === true) {
    this.isTerminal = isTerminal;
    this.colors = pc.createColors(wantsColor(isTerminal));
  }

  /** Columns of the terminal, 80 where there is none. */
  get columns(): number {
    return this.isTerminal ? (process.stdout.columns ?? 80) : 80;
  }

  /** Whether something was written already, and cannot be taken back. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Puts a text out. @throws {QdbError} IO; {BrokenPipe} */
  text(text: string): void {
    // UTF-8 takes at most three bytes for each unit of a string.
    if (text.length * 3 <= BUFFER_SIZE - this.#used) this.#used += this.#buffer.write(text, this.#used, "utf8");
    else this.bytes(Buffer.from(text, "utf8"));
  }

  /** Puts a line out. @throws {QdbError} IO; {BrokenPipe} */
  line(text = ""): void {
    this.text(`${text}\n`);
  }

  /** Puts bytes out; they may be changed when this returns. @throws {QdbError} IO; {BrokenPipe} */
  bytes(bytes: Uint8Array): void {
    if (bytes.length > BUFFER_SIZE - this.#used) this.flush();
    if (bytes.length > BUFFER_SIZE / 2) {
      this.#hasLeft = true;
      writeAll(1, bytes);
    } else {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  /** Writes what has come together. @throws {QdbError} IO; {BrokenPipe} */
  flush(): void {
    const used = this.#used;
    this.#used = 0;
    if (used === 0) return;
    this.#hasLeft = true;
    writeAll(1, this.#buffer.subarray(0, used));
  }

  /** Forgets what was not written yet. */
  discard(): void {
    this.#used = 0;
  }
}

/** Writes all bytes to standard output or standard error. @throws {QdbError} IO; {BrokenPipe} */
export function writeAll(fd: 1 | 2, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EPIPE") throw new BrokenPipe();
      if (code !== "EAGAIN") {
        const name = fd === 1 ? "standard output" : "standard error";
        throw new QdbError("IO", `cannot write to ${name}: ${String(code)}`, {}, { cause: error });
      }
      // A pipe that another process made non-blocking, and whose reader is slow.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

/** Writes a line to standard error, and forgets what cannot be written: there is nowhere else to say so. */
export function complain(line: string): void {
  try {
    writeAll(2, Buffer.from(`${line}\n`, "utf8"));
  } catch {
    // Nobody listens.
  }
}

/** Writes a warning to standard error: the work goes on. Everything from outside in it must have gone through `quote`. */
export function warn(message: string): void {
  complain(`qdb: warning: ${message}`);
}
