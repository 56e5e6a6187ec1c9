import { statSync } from "node:fs";
import { QdbError } from "@qdb/format";
import type { TakeBytes } from "@qdb/format/internal";
import { createOutput } from "@qdb/io-node/container";
import type { Call } from "../shell/command.ts";
import { ofOtherFilesSync } from "../shell/errors.ts";
import { alreadyExists } from "./new-file.ts";

/** Refuses an output that exists, devices included, before any work is done. `-` is standard output. @throws {QdbError} ALREADY_EXISTS */
export function requireNewOutput(out: string): void {
  if (out === "-" || statSync(out, { throwIfNoEntry: false }) === undefined) return;
  throw alreadyExists(out);
}

/**
 * Writes what `print` passes on to standard output, or creates a file with it, completely or not at all. `print` must pass on the same bytes at each
 * call: for a file on a file system without hard links it is called twice.
 * @throws {QdbError} as making a file; what `print` throws
 */
export async function writeOutput(
  out: string,
  print: (put: TakeBytes) => Promise<void>,
  { output, signal }: Call,
): Promise<void> {
  if (out === "-") await print((bytes) => ofOtherFilesSync(() => output.bytes(bytes)));
  else await createOutput(out, (put) => print((bytes) => ofOtherFilesSync(() => put(bytes))), { signal });
}

/** Passes pieces on, with a pause between them in which signals are handled. @throws {QdbError} ABORTED; what `put` throws */
export async function putPieces(pieces: Iterable<Uint8Array>, put: TakeBytes, { signal }: Call): Promise<void> {
  for (const piece of pieces) {
    put(piece);
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (signal.aborted) throw new QdbError("ABORTED", "the command was interrupted");
  }
}
