import { Bitmap } from "../bitmap/bitmap.ts";
import { ExtentBatch } from "../bitmap/runs.ts";
import type { BitmapShape, DiskRange } from "../bitmap/shape.ts";
import { QdbError } from "../errors.ts";
import { exactInteger, positiveInteger, wholeNumber } from "../integers.ts";
import type { AbortSignalLike } from "../ports/abort-signal.ts";
import { LongCall, type LongCallOptions } from "../ports/long-call.ts";
import { type AnySource, type ByteSource, exactBytes } from "../ports/source.ts";
import { ChunkPool } from "./chunk-pool.ts";
import type { ExtentSink } from "./extent-sink.ts";

/**
 * Dirty extents of one disk: a bitmap, or extents or batches of extents in any order. Offsets and lengths of extents are in bytes. Extents
 * that overlap are transferred twice.
 */
export type DirtyExtents = Bitmap | Iterable<ExtentBatch | DiskRange> | AsyncIterable<ExtentBatch | DiskRange>;

/** Options of {@link transferExtents}. */
export interface TransferOptions extends LongCallOptions {
  /** Maximum number of bytes of one write (default 1 MiB). No write crosses a multiple of it. */
  readonly chunkSize?: number | undefined;
  /** Maximum number of chunks that are read or written at the same time (default 1). Each takes `chunkSize` bytes of memory. */
  readonly concurrency?: number | undefined;
}

const DEFAULT_CHUNK_SIZE = 2 ** 20;

/**
 * Transfers the bytes of dirty extents from a source, which is the disk, to a sink, and returns the number of bytes. Adjacent extents are
 * joined, and cut into chunks: for a store of chunks of 4 MiB, pass `bits.regranulate(2 ** 22)` with that `chunkSize`, and each write is a
 * whole chunk. Without `regranulate`, `write` gets parts of chunks: those that are dirty. The next chunk is read when a write has ended, so
 * that the sink sets the pace. Progress counts bytes of the disk.
 *
 * The first error ends the transfer: no chunk is begun after it, those that were begun are awaited, and `flush` is not called. Some of the
 * extents may have been written then. The extents of a `Bitmap` are those that it has when the call begins.
 * @throws {QdbError} SIZE_MISMATCH if the extents are of a disk of another size than the source; USAGE for an extent that does not lie in the
 * source, for an option out of range, or if `write` or `flush` returns a value; SHORT_READ if the source returns too few bytes;
 * SOURCE_CHANGED if its `stamp` has changed when all bytes are read, and then `flush` is not called; ABORTED if the signal is aborted; what
 * the extents, the source and the sink throw
 * @example
 * const sink = {
 *   async write(offset, bytes, { signal }) {
 *     const response = await fetch(`${url}?offset=${offset}`, { method: "PUT", body: bytes, signal });
 *     if (!response.ok) throw new Error(`the server answered ${response.status}`);
 *   },
 * };
 * await transferExtents(file.bitmap("daily").batches(), source, sink, { concurrency: 4 });
 */
export async function transferExtents(
  extents: DirtyExtents,
  source: AnySource,
  sink: ExtentSink,
  options: TransferOptions = {},
): Promise<number> {
  const transfer = new Transfer(source, sink, options);
  if (!(extents instanceof Bitmap)) return transfer.run(extents);
  transfer.checkShape(extents);
  // The caller may change the bitmap while the call waits.
  const bits = extents.clone();
  try {
    return await transfer.run(bits.batches());
  } finally {
    bits.free();
  }
}

/** A range of the source in bytes. */
interface Range {
  readonly offset: number;
  readonly length: number;
}

class Transfer {
  readonly #source: AnySource;
  readonly #sink: ExtentSink;
  readonly #options: { readonly signal?: AbortSignalLike | undefined };
  readonly #call: LongCall;
  readonly #chunkSize: number;
  readonly #pool: ChunkPool;
  /** Length of the disk in bytes when the call began. */
  readonly #size: number;
  /** End of the last chunk that was begun, in bytes of the disk. It does not go back. */
  #position = 0;
  #transferred = 0;

  constructor(source: AnySource, sink: ExtentSink, options: TransferOptions) {
    this.#source = source;
    this.#sink = sink;
    this.#options = options.signal === undefined ? {} : { signal: options.signal };
    this.#call = new LongCall(options);
    this.#chunkSize = positiveInteger(options.chunkSize ?? DEFAULT_CHUNK_SIZE, "chunkSize");
    this.#pool = new ChunkPool(positiveInteger(options.concurrency ?? 1, "concurrency"));
    this.#size = wholeNumber(source.size, "size");
  }

  async run(extents: Exclude<DirtyExtents, Bitmap>): Promise<number> {
    this.#call.checkSignal();
    const stamp = this.#source.stamp?.();
    try {
      await this.#transferAll(extents);
    } catch (error) {
      await this.#pool.settled();
      // A source or a sink that was aborted throws an error of its own. ABORTED is thrown instead.
      this.#call.checkSignal();
      throw error;
    }
    // All bytes are read. If the source has changed meanwhile, they may be of two states of the disk.
    if (this.#source.stamp?.() !== stamp) {
      throw new QdbError("SOURCE_CHANGED", "the source was changed while it was read; transfer the extents again");
    }
    requireNothing(await this.#sink.flush?.(), "flush");
    this.#call.finish(this.#size);
    return this.#transferred;
  }

  async #transferAll(extents: Exclude<DirtyExtents, Bitmap>): Promise<void> {
    // A range that is not transferred yet, because the next extent may continue it.
    let start = 0;
    let end = 0;
    for await (const item of extents) {
      for (const { offset, length } of this.#rangesOf(item)) {
        if (offset !== end) {
          if (start < end) await this.#transferRange(start, end);
          start = offset;
        }
        end = offset + length;
      }
    }
    await this.#transferRange(start, end);
    await this.#pool.settled();
    this.#pool.check();
  }

  #rangesOf(item: ExtentBatch | DiskRange): Iterable<Range> {
    if (!(item instanceof ExtentBatch)) return [this.#rangeOf(item)];
    this.checkShape(item.shape);
    return item.ranges();
  }

  #rangeOf(extent: DiskRange): Range {
    const offset = exactInteger(extent.offset, "offset");
    const length = exactInteger(extent.length, "length");
    if (offset >= 0n && length >= 0n && offset + length <= BigInt(this.#size)) {
      return { offset: Number(offset), length: Number(length) };
    }
    const message = `the extent ${offset}+${length} does not lie inside the source's ${this.#size} bytes`;
    throw new QdbError("USAGE", message, { field: "offset" });
  }

  /** @throws {QdbError} SIZE_MISMATCH if a shape is of a disk of another size than the source */
  checkShape({ size }: BitmapShape): void {
    if (size === BigInt(this.#size)) return;
    const message = `the bitmap is for a disk of ${size} bytes, the source has ${this.#size}`;
    throw new QdbError("SIZE_MISMATCH", message, { field: "size" });
  }

  /** Transfers a range of the disk, `[start, end)` in bytes, chunk by chunk. */
  async #transferRange(start: number, end: number): Promise<void> {
    for (let at = start; at < end; ) {
      const next = Math.min(end, at - (at % this.#chunkSize) + this.#chunkSize);
      this.#call.checkSignal();
      this.#pool.check();
      const copying = this.#copy(at, next - at);
      if (copying !== undefined) await this.#pool.add(copying);
      this.#position = Math.max(this.#position, next);
      const pause = this.#call.step(this.#position, this.#size);
      if (pause !== undefined) await pause;
      at = next;
    }
  }

  /** Copies a chunk. Returns undefined if that is done when it returns. */
  #copy(offset: number, length: number): Promise<void> | undefined {
    if (!("readSync" in this.#source)) return this.#copyLater(this.#source, offset, length);
    return this.#write(this.#source.readSync(offset, length), offset, length);
  }

  async #copyLater(source: ByteSource, offset: number, length: number): Promise<void> {
    await this.#write(await source.read(offset, length, this.#options), offset, length);
  }

  #write(bytes: Uint8Array, offset: number, length: number): Promise<void> | undefined {
    const writing = this.#sink.write(offset, exactBytes(bytes, { offset, length }), this.#options);
    if (writing !== undefined) return this.#finishWrite(writing, length);
    this.#transferred += length;
    return undefined;
  }

  async #finishWrite(writing: PromiseLike<void>, length: number): Promise<void> {
    requireNothing(await writing, "write");
    this.#transferred += length;
  }
}

/** Refuses a value that a sink returns: a number of bytes, a response or a state that nobody looks at may tell a failure. @throws {QdbError} USAGE */
function requireNothing(value: unknown, name: string): void {
  if (value === undefined) return;
  const message = `${name} of the sink returned a value of type ${typeof value}; it has to look at it itself, and throw if it failed`;
  throw new QdbError("USAGE", message, { field: name });
}
