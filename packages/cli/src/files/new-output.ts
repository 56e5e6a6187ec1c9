import { statSync } from "node:fs";
import { QdbError } from "@qdb/format";
import type { FileChunk } from "@qdb/format/container";
import { createFile } from "@qdb/io-node/container";
import type { Call } from "../shell/command.ts";
import { alreadyExists, writing } from "./new-file.ts";

/** Refuses an output that exists, devices included, before any work is done. `-` is standard output. @throws {QdbError} ALREADY_EXISTS */
export function requireNewOutput(out: string): void {
  if (out === "-" || statSync(out, { throwIfNoEntry: false }) === undefined) return;
  throw alreadyExists(out);
}

/**
 * Writes bytes to standard output, or creates a file with them, completely or not at all. `pieces` must produce the same bytes at
 * each call, because for a file it is called once more to find out the length.
 * @throws {QdbError} as making a file
 */
export async function writeOutput(out: string, pieces: () => Iterable<Uint8Array>, call: Call): Promise<void> {
  if (out === "-") {
    for await (const piece of breathing(pieces(), call)) call.output.bytes(piece);
    return;
  }
  let length = 0;
  for await (const piece of breathing(pieces(), call)) length += piece.length;
  const image = {
    length,
    *chunks(): Generator<FileChunk, void> {
      let offset = 0;
      for (const bytes of pieces()) {
        yield { offset, bytes };
        offset += bytes.length;
      }
    },
  };
  await writing(call, (options) => createFile(out, image, options));
}

/** Yields pieces unchanged, with a pause between them in which signals are handled. @throws {QdbError} ABORTED */
async function* breathing(pieces: Iterable<Uint8Array>, { signal }: Call): AsyncGenerator<Uint8Array, void> {
  for (const piece of pieces) {
    yield piece;
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (signal.aborted) throw new QdbError("ABORTED", "the command was interrupted");
  }
}
