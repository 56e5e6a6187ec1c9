import { wordsOfBytes } from "../bitmap/bit-bytes.ts";
import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapShape, ShapeInput } from "../bitmap/shape.ts";
import { QdbError } from "../errors.ts";
import { type ByteChunks, type ChunkOptions, eachChunk } from "../ports/chunks.ts";

/** Number of bytes that are collected before they are put into the bitmap; a multiple of 4. */
const BLOCK = 64 * 1024;

/**
 * Reads a bitmap from its plain bits as they arrive: ceil(bits / 8) bytes, the least significant bit of a byte first, as
 * `Bitmap.toBytes()` returns them and `qdb export --to raw-bits` writes them. For bytes that are all in memory, `Bitmap.fromBytes` does the
 * same. Bits past the last one are ignored. The bytes do not say what they are of: `shape` must be the shape for which they were written.
 * The event loop gets its turns, and the signal is checked, as by `readExtentMap`.
 * @throws {QdbError} USAGE, LIMIT if the format does not allow the shape (see `bitsOfShape`); SIZE_MISMATCH with the offset for more or fewer
 * bytes; ABORTED if the signal is aborted; what the input throws
 * @example
 * const bits = await readRawBits(createReadStream("bits.raw"), { size: 16n * 2n ** 30n, granularity: 65536 });
 */
export async function readRawBits(chunks: ByteChunks, shape: ShapeInput, options: ChunkOptions = {}): Promise<Bitmap> {
  const bitmap = Bitmap.clean(shape);
  await readRawBitsInto(bitmap, chunks, options);
  return bitmap;
}

/** Bits that are clean at first, and are filled part by part: a `Bitmap`, or `SpooledBits`. */
export interface FillableBits extends BitmapShape {
  readonly bitCount: number;
  /** Merges words of bits (OR), from bit `base` on, which is a multiple of 32. Bits past the last one are ignored. */
  mergeWordsAt(base: number, words: Uint32Array): void;
}

/** Reads plain bits as {@link readRawBits} does, into bits of their shape. @throws {QdbError} as {@link readRawBits} */
export async function readRawBitsInto(
  bitmap: FillableBits,
  chunks: ByteChunks,
  options: ChunkOptions = {},
): Promise<void> {
  const length = Math.ceil(bitmap.bitCount / 8);
  const block = new Uint8Array(Math.min(BLOCK, Math.ceil(length / 4) * 4));
  let used = 0;
  let done = 0;
  const flush = (): void => {
    block.fill(0, used);
    bitmap.mergeWordsAt((done - used) * 8, wordsOfBytes(block.subarray(0, Math.ceil(used / 4) * 4)));
    used = 0;
  };
  await eachChunk(chunks, options, (piece) => {
    if (typeof piece === "string") throw new QdbError("USAGE", "bits are given as bytes, not as text");
    if (piece.length > length - done) throw mismatch("more", length, bitmap);
    for (let at = 0; at < piece.length; ) {
      const count = Math.min(block.length - used, piece.length - at);
      block.set(piece.subarray(at, at + count), used);
      used += count;
      at += count;
      done += count;
      if (used === block.length) flush();
    }
  });
  if (done < length) throw mismatch(`${done}`, done, bitmap);
  if (used > 0) flush();
}

function mismatch(found: string, offset: number, { size, granularity, bitCount }: FillableBits): QdbError {
  const length = Math.ceil(bitCount / 8);
  const message = `there are ${found} bytes of bits, those of a disk of ${size} bytes at granularity ${granularity} take ${length}; are size and granularity right?`;
  return new QdbError("SIZE_MISMATCH", message, { structure: "raw bits", offset });
}
