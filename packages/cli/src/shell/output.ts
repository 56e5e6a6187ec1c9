import { writeSync } from "node:fs";
import { QdbError } from "@qdb/format";
import pc from "picocolors";

/** Size of the output buffer in bytes. */
const BUFFER_SIZE = 1024 * 1024;

/** Functions that colour text for the terminal; they return it unchanged where colours are off. */
export type Colors = ReturnType<typeof pc.createColors>;

/** Thrown when the reader of standard output has closed the pipe. Not reported as an error. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/** Whether to use colours: on a terminal that supports them, unless NO_COLOR is set. */
export function wantsColor(isTerminal: boolean, env: NodeJS.ProcessEnv = process.env): boolean {
  return isTerminal && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
}

/** Buffered standard output, written synchronously in large pieces. Text from outside must be escaped by `quote` or `quoteJson` first. */
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

  /** Columns of the terminal; 80 when standard output is no terminal. */
  get columns(): number {
    return this.isTerminal ? (process.stdout.columns ?? 80) : 80;
  }

  /** Whether something was written already, so that {@link discard} cannot remove it. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Prints a text. @throws {QdbError} IO; {BrokenPipe} */
  text(text: string): void {
    // UTF-8 takes at most three bytes for each unit of a string.
    if (text.length * 3 <= BUFFER_SIZE - this.#used) this.#used += this.#buffer.write(text, this.#used, "utf8");
    else this.bytes(Buffer.from(text, "utf8"));
  }

  /** Prints a line. @throws {QdbError} IO; {BrokenPipe} */
  line(text = ""): void {
    this.text(`${text}\n`);
  }

  /** Prints bytes. The caller may reuse them when this returns. @throws {QdbError} IO; {BrokenPipe} */
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

  /** Writes the content of the buffer. @throws {QdbError} IO; {BrokenPipe} */
  flush(): void {
    const used = this.#used;
    this.#used = 0;
    if (used === 0) return;
    this.#hasLeft = true;
    writeAll(1, this.#buffer.subarray(0, used));
  }

  /** Discards the content of the buffer. */
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
      // The pipe is non-blocking, because another process made it so, and full. Wait.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

/** Writes a line to standard error. Ignores errors, since there is nowhere else to report them. */
export function complain(line: string): void {
  try {
    writeAll(2, Buffer.from(`${line}\n`, "utf8"));
  } catch {
    // Standard error is closed.
  }
}

/** Writes a warning to standard error. Text from outside must be escaped by `quote` first. */
export function warn(message: string): void {
  complain(`qdb: warning: ${message}`);
}
