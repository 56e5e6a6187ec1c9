import type { FileImage } from "@qdb/format";
import { HEADER_AREA_SIZE } from "@qdb/format/internal";
import type { Handle } from "../system/handle.ts";
import type { Pace } from "../system/pace.ts";

/** Bytes written between two looks at the signal. */
const PIECE = 2 ** 20;

/**
 * The bytes that make an image a QDB file, to be written last and by one write: the header's chunk, at most a header
 * area of it, with the zeros that follow it up to the next chunk.
 */
export function primaryOf(image: FileImage): Uint8Array {
  const chunks = image.chunks()[Symbol.iterator]();
  const first = chunks.next().value;
  const next = chunks.next().value;
  chunks.return?.();
  const primary = new Uint8Array(Math.min(HEADER_AREA_SIZE, image.length, next?.offset ?? image.length));
  if (first?.offset === 0) primary.set(first.bytes.subarray(0, primary.length));
  return primary;
}

/**
 * Writes an image but for its first `skip` bytes. What no chunk holds is left to the hole that it is in a new file, or
 * written as zeros where older bytes would shine through.
 */
export async function writeFrom(
  handle: Handle,
  image: FileImage,
  skip: number,
  gaps: "holes" | "zeros",
  pace: Pace,
): Promise<void> {
  let at = skip;
  for (const { offset, bytes } of image.chunks()) {
    const start = Math.max(offset, skip);
    if (offset + bytes.length <= start) continue;
    if (gaps === "zeros") await writeZeros(handle, at, start, image.length, pace);
    await writePieces(handle, bytes.subarray(start - offset), start, image.length, pace);
    at = offset + bytes.length;
  }
  if (gaps === "zeros") await writeZeros(handle, at, image.length, image.length, pace);
}

async function writePieces(
  handle: Handle,
  bytes: Uint8Array,
  offset: number,
  total: number,
  pace: Pace,
): Promise<void> {
  for (let done = 0; done < bytes.length; done += PIECE) {
    const piece = bytes.subarray(done, done + PIECE);
    handle.write(piece, offset + done);
    const pause = pace.step(offset + done + piece.length, total);
    if (pause !== undefined) await pause;
  }
}

async function writeZeros(handle: Handle, start: number, end: number, total: number, pace: Pace): Promise<void> {
  const zeros = new Uint8Array(Math.min(PIECE, Math.max(0, end - start)));
  for (let at = start; at < end; at += PIECE) {
    await writePieces(handle, zeros.subarray(0, Math.min(PIECE, end - at)), at, total, pace);
  }
}
