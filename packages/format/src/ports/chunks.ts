import { QdbError } from "../errors.ts";
import { LongCall, type LongCallOptions } from "./long-call.ts";

/** Maximum number of bytes, or UTF-16 units of text, that are passed on at a time, so that a call can be aborted inside a long chunk. */
const PIECE = 1024 * 1024;

/**
 * Input that arrives in chunks of bytes, such as a stream of Node or the body of a `fetch`, or bytes as a whole. Chunks may have any length,
 * and end anywhere.
 */
export type ByteChunks = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Text that arrives in chunks of UTF-8 bytes or of strings, or as a whole. Chunks may end anywhere, also inside a character. */
export type TextChunks = ByteChunks | string | Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

/** Options of a call that reads input in chunks. */
export interface ChunkOptions extends Pick<LongCallOptions, "signal"> {
  /** Called every few milliseconds with the number of bytes that were read (of strings: UTF-16 units), and once at the end. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/**
 * Passes chunks on to `take`, in pieces of at most 1 MiB. Between pieces the event loop gets its turns.
 * @throws {QdbError} ABORTED if the signal is aborted; USAGE for a chunk that is neither bytes nor text; what `take` and the input throw
 */
export async function eachChunk(
  chunks: TextChunks,
  options: ChunkOptions,
  take: (piece: Uint8Array | string) => void,
): Promise<void> {
  const { onProgress } = options;
  const call = new LongCall({ signal: options.signal, onProgress: (done) => onProgress?.(done) });
  let done = 0;
  call.checkSignal();
  // Bytes and strings can be iterated too, but are chunks.
  for await (const chunk of isChunk(chunks) ? [chunks] : chunks) {
    call.checkSignal();
    if (!isChunk(chunk)) throw new QdbError("USAGE", `a chunk of type ${typeof chunk} is neither bytes nor text`);
    for (let at = 0; at < chunk.length; at += PIECE) {
      const end = Math.min(at + PIECE, chunk.length);
      take(typeof chunk === "string" ? chunk.slice(at, end) : chunk.subarray(at, end));
      done += end - at;
      const pause = call.step(done, done);
      if (pause !== undefined) await pause;
    }
  }
  call.finish(done);
}

function isChunk(value: unknown): value is Uint8Array | string {
  return typeof value === "string" || value instanceof Uint8Array;
}
