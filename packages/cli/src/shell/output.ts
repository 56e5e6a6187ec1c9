import { writeSync } from "node:fs";
import { QdbError } from "@qdb/format";
import type { Colors } from "./terminal.ts";

/** Size of the output buffer in bytes. */
const BUFFER_SIZE = 1024 * 1024;

/** Thrown if the program that reads standard output has closed the pipe. It is not reported as an error. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/**
 * Standard output with a buffer that is written synchronously in large pieces. Text that comes from a file or from the user must be escaped
 * by `quote` or `quoteJson` first.
 */
export class Output {
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  readonly colors: Colors;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  #used = 0;
  #hasWritten = false;

  constructor(isTerminal: boolean, colors: Colors) {
    this.isTerminal = isTerminal;
    this.colors = colors;
  }

  /** Number of columns of the terminal; 80 if standard output is no terminal. */
  get columns(): number {
    return this.isTerminal ? (process.stdout.columns ?? 80) : 80;
  }

  /** Whether anything was written to standard output already, so that {@link discard} cannot take it back. */
  get hasWritten(): boolean {
    return this.#hasWritten;
  }

  /** Prints a text. @throws {QdbError} IO; {BrokenPipe} if the reader has closed the pipe */
  text(text: string): void {
    // A UTF-16 unit takes at most three bytes in UTF-8.
    if (text.length * 3 <= BUFFER_SIZE - this.#used) this.#used += this.#buffer.write(text, this.#used, "utf8");
    else this.bytes(Buffer.from(text, "utf8"));
  }

  /** Prints a line. @throws {QdbError} IO; {BrokenPipe} if the reader has closed the pipe */
  line(text = ""): void {
    this.text(`${text}\n`);
  }

  /** Prints bytes. The caller may reuse them as soon as this returns. @throws {QdbError} IO; {BrokenPipe} if the reader has closed the pipe */
  bytes(bytes: Uint8Array): void {
    if (bytes.length > BUFFER_SIZE - this.#used) this.flush();
    if (bytes.length > BUFFER_SIZE / 2) {
      this.#hasWritten = true;
      writeAll(1, bytes);
    } else {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  /** Writes the content of the buffer to standard output. @throws {QdbError} IO; {BrokenPipe} if the reader has closed the pipe */
  flush(): void {
    const used = this.#used;
    this.#used = 0;
    if (used === 0) return;
    this.#hasWritten = true;
    writeAll(1, this.#buffer.subarray(0, used));
  }

  /** Drops the content of the buffer. */
  discard(): void {
    this.#used = 0;
  }
}

/** Writes all bytes to standard output or standard error. @throws {QdbError} IO; {BrokenPipe} if the reader has closed the pipe */
function writeAll(fd: 1 | 2, bytes: Uint8Array): void {
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
      // The pipe is full, and another process has made it non-blocking. Wait two milliseconds before the next attempt.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

/** Writes a line to standard error. Errors are ignored, because there is nowhere else to report them. */
export function complain(line: string): void {
  try {
    writeAll(2, Buffer.from(`${line}\n`, "utf8"));
  } catch {
    // Standard error is closed.
  }
}

/** Writes a warning to standard error. Text that comes from a file or from the user must be escaped by `quote` first. */
export function warn(message: string): void {
  complain(`qdb: warning: ${message}`);
}
