import { type FileInit, imageBytes, newFile, writeImage } from "@qdb/format/container";

/** Returns the bytes of a new QDB file. */
export function fileBytes(init: FileInit): Uint8Array<ArrayBuffer> {
  const randomId = () => crypto.getRandomValues(new Uint8Array(16));
  return imageBytes(writeImage(newFile(init, { randomId }))) as Uint8Array<ArrayBuffer>;
}
