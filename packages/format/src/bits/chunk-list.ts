import type { FileChunk } from "../ports/file-image.ts";

/** Chunks to write. Those that follow each other, both in memory and in the file, are one. */
export class ChunkList {
  readonly list: FileChunk[] = [];

  add(offset: number, bytes: Uint8Array): void {
    const last = this.list.at(-1);
    if (
      last !== undefined &&
      last.offset + last.bytes.length === offset &&
      last.bytes.buffer === bytes.buffer &&
      last.bytes.byteOffset + last.bytes.length === bytes.byteOffset
    ) {
      const length = last.bytes.length + bytes.length;
      this.list[this.list.length - 1] = {
        offset: last.offset,
        bytes: new Uint8Array(bytes.buffer, last.bytes.byteOffset, length),
      };
    } else this.list.push({ offset, bytes });
  }
}
