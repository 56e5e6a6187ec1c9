import type { FileChunk, FileImage } from "@qdb/format/container";

/** Bytes that no two offsets in a row share and no zeros are among. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = 1 + ((state >>> 24) % 255);
  }
  return bytes;
}

/** An image out of chunks. */
export function imageOf(length: number, ...chunks: FileChunk[]): FileImage {
  return { length, chunks: () => chunks };
}

/** A header area that begins with the magic; nothing else in it is looked at here. */
export function headerArea(length = 4096): Uint8Array {
  const bytes = pattern(length, 7);
  bytes.set([0x51, 0x44, 0x42, 0x00]);
  return bytes;
}

/** Header, mirror, a table in two clusters, a hole, a data cluster, and zeros up to the end, as a full file has them. */
export function fullImage(): FileImage {
  return imageOf(
    40960,
    { offset: 0, bytes: headerArea() },
    { offset: 4096, bytes: headerArea() },
    { offset: 8192, bytes: pattern(5000, 2) },
    { offset: 28672, bytes: pattern(4096, 3) },
  );
}

/** The bytes that a file made of an image has. */
export function bytesOf(image: FileImage): Uint8Array {
  const bytes = new Uint8Array(image.length);
  for (const chunk of image.chunks()) bytes.set(chunk.bytes, chunk.offset);
  return bytes;
}
