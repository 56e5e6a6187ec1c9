import { closeSync, fstatSync, open, read } from "node:fs";
import { isQdbError, QdbError, quote } from "@qdb/format";
import { reasonOf } from "@qdb/io-node/container";

/** Size of a piece in bytes. */
const PIECE = 256 * 1024;

/** Number of bytes of text that are passed on at a time. V8 keeps more memory for new objects, the more of them live at once. */
const TEXT_PIECE = 16 * 1024;

/**
 * Reads a file or pipe from its start in pieces; `-` is standard input. A piece is valid until the next one is asked for: memory that is
 * outside of V8's heap is given back late, so that pieces of their own would take a lot of it.
 * @throws {QdbError} NOT_FOUND, USAGE for a directory, IO, ABORTED
 */
export async function* readInput(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if (path === "-" && !fstatSync(0).isFile()) yield* readPipe(signal);
  else yield* readFile(path, signal);
}

async function* readPipe(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const stop = (): void => {
    process.stdin.destroy(interrupted());
  };
  signal.addEventListener("abort", stop);
  try {
    if (signal.aborted) stop();
    for await (const piece of process.stdin) yield piece;
  } catch (error) {
    throw inputError("-", error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function* readFile(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const buffer = Buffer.allocUnsafeSlow(PIECE);
  try {
    const fd = path === "-" ? 0 : await openAsync(path);
    try {
      for (;;) {
        if (signal.aborted) throw interrupted();
        const length = await readAsync(fd, buffer);
        if (length === 0) return;
        yield buffer.subarray(0, length);
      }
    } finally {
      if (path !== "-") closeSync(fd);
    }
  } catch (error) {
    throw inputError(path, error);
  }
}

function openAsync(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, (error, fd) => {
      if (error === null) resolve(fd);
      else reject(error);
    });
  });
}

/** Reads on from the current position. A read interrupted by a signal is repeated. */
function readAsync(fd: number, buffer: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const once = (): void =>
      read(fd, buffer, 0, buffer.length, null, (error, length) => {
        if (error === null) resolve(length);
        else if (error.code === "EINTR") once();
        else reject(error);
      });
    once();
  });
}

function interrupted(): QdbError {
  return new QdbError("ABORTED", "the command was interrupted");
}

/** Does the same as {@link readInput}, and yields text. @throws {QdbError} as {@link readInput}; USAGE for bytes that are not UTF-8 */
export async function* readText(path: string, signal: AbortSignal): AsyncGenerator<string, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (piece?: Uint8Array): string => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch (error) {
      throw new QdbError("USAGE", `${inputName(path)} is not UTF-8 text`, {}, { cause: error });
    }
  };
  for await (const piece of readInput(path, signal)) {
    for (let at = 0; at < piece.length; at += TEXT_PIECE) yield decode(piece.subarray(at, at + TEXT_PIECE));
  }
  yield decode();
}

/** Returns the name of an input for messages. */
export function inputName(path: string): string {
  return path === "-" ? "standard input" : quote(path);
}

function inputError(path: string, error: unknown): QdbError {
  if (isQdbError(error)) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const cannot = `cannot read ${inputName(path)}`;
  if (code === "ENOENT" || code === "ENOTDIR")
    return new QdbError("NOT_FOUND", `${cannot}: there is no such file`, {}, { cause: error });
  if (code === "EISDIR")
    return new QdbError("USAGE", `${cannot}: it is a directory; name a file`, {}, { cause: error });
  return new QdbError("IO", `${cannot}: ${reasonOf(error)}`, {}, { cause: error });
}
