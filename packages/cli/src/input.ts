import { createReadStream } from "node:fs";
import { isQdbError, QdbError, quote } from "@qdb/format";
import { reasonOf } from "@qdb/io-node";

/** Bytes of one piece. */
const PIECE = 1024 * 1024;

/**
 * The bytes of a file or a pipe from its start, in pieces; `-` is standard input.
 * @throws {QdbError} NOT_FOUND, USAGE for a directory, IO, ABORTED
 */
export async function* readInput(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const stream = path === "-" ? process.stdin : createReadStream(path, { highWaterMark: PIECE });
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

/** The same as text. @throws {QdbError} the same; USAGE for what is not UTF-8 */
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

/** An input for messages. */
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
