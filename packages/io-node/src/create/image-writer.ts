import type { FileImage } from "@qdb/format/container";
import { HEADER_AREA_SIZE, type LongCall } from "@qdb/format/internal";
import type { Handle } from "../system/handle.ts";

/** Number of bytes that are written between two checks of the abort signal. */
const PIECE = 2 ** 20;

/**
 * Returns the first bytes of an image, which make the file valid and are therefore written last, in one write: the chunk of the header,
 * with the zeros up to the next chunk or to the end of the header area.
 */
export function primaryOf(image: FileImage): Uint8Array {
  const chunks = image.chunks()[Symbol.iterator]();
  const first = chunks.next().value;
  const header = first?.offset === 0 ? first.bytes.slice(0, HEADER_AREA_SIZE) : new Uint8Array(0);
  const next = chunks.next().value;
  chunks.return?.();
  const primary = new Uint8Array(Math.min(HEADER_AREA_SIZE, image.length, next?.offset ?? image.length));
  primary.set(header.subarray(0, primary.length));
  return primary;
}

/**
 * Writes an image without its first `skip` bytes. The bytes between two chunks are zeros. In a new file they can be left out as holes; over
 * old bytes they must be written.
 */
export async function writeFrom(
  handle: Handle,
  image: FileImage,
  skip: number,
  gaps: "holes" | "zeros",
  call: LongCall,
): Promise<void> {
  let at = skip;
  for (const { offset, bytes } of image.chunks()) {
    const start = Math.max(offset, skip);
    if (offset + bytes.length <= start) continue;
    if (gaps === "zeros") await writeZeros(handle, at, start, image.length, call);
    await writePieces(handle, bytes.subarray(start - offset), start, image.length, call);
    at = offset + bytes.length;
  }
  if (gaps === "zeros") await writeZeros(handle, at, image.length, image.length, call);
}

async function writePieces(
  handle: Handle,
  bytes: Uint8Array,
  offset: number,
  total: number,
  call: LongCall,
): Promise<void> {
  for (let done = 0; done < bytes.length; done += PIECE) {
    const piece = bytes.subarray(done, done + PIECE);
    handle.write(piece, offset + done);
    const pause = call.step(offset + done + piece.length, total);
    if (pause !== undefined) await pause;
  }
}

async function writeZeros(handle: Handle, start: number, end: number, total: number, call: LongCall): Promise<void> {
  const zeros = new Uint8Array(Math.min(PIECE, Math.max(0, end - start)));
  for (let at = start; at < end; at += PIECE) {
    await writePieces(handle, zeros.subarray(0, Math.min(PIECE, end - at)), at, total, call);
  }
}
