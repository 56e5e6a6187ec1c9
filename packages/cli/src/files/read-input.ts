import { close, createReadStream, fstatSync, open, read } from "node:fs";
import { isQdbError, QdbError, quote } from "@qdb/format";
import { reasonOf } from "@qdb/io-node/container";

/** Size of a piece in bytes. */
const PIECE = 1024 * 1024;

/** Node's file calls, except that a read interrupted by a signal is repeated. */
const CALLS = {
  open,
  close,
  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number | null, done: ReadDone): void {
    read(fd, buffer, offset, length, position, (error, count, bytes) => {
      if (error?.code === "EINTR") CALLS.read(fd, buffer, offset, length, position, done);
      else done(error, count, bytes);
    });
  },
};
type ReadDone = (error: NodeJS.ErrnoException | null, count: number, buffer: Uint8Array) => void;

/**
 * Reads a file or pipe from its start in pieces; `-` is standard input.
 * @throws {QdbError} NOT_FOUND, USAGE for a directory, IO, ABORTED
 */
export async function* readInput(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const stream = streamOf(path);
  const stop = (): void => {
    stream.destroy(new QdbError("ABORTED", "the command was interrupted"));
  };
  signal.addEventListener("abort", stop);
  try {
    if (signal.aborted) stop();
    for await (const piece of stream) yield piece;
  } catch (error) {
    throw inputError(path, error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function streamOf(path: string): AsyncIterable<Uint8Array> & { destroy(error: Error): unknown } {
  if (path !== "-") return createReadStream(path, { highWaterMark: PIECE, fs: CALLS });
  if (!fstatSync(0).isFile()) return process.stdin;
  return createReadStream("", { fd: 0, autoClose: false, highWaterMark: PIECE, fs: CALLS });
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
  for await (const piece of readInput(path, signal)) yield decode(piece);
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
