import type { FileImage } from "@qdb/format/container";
import { HEADER_AREA_SIZE, type LongCall } from "@qdb/format/internal";

/** A file while it is made. Bytes that are not written are zeros. */
export interface NewFile {
  /** Writes all of `bytes` at file offset `offset`. Those at offset 0 are the header, in one call. @throws {QdbError} IO */
  write(bytes: Uint8Array, offset: number): void;
  /** Sets the length of the file in bytes. With length 0 all that was written is gone, so that writing can begin anew. @throws {QdbError} IO */
  truncate(length: number): void;
}

/** Writes a whole new file. It is called more than once if the file cannot be made in the first way, and must write the same file then. */
export type WriteFile = (file: NewFile) => Promise<void>;

/** Number of bytes that are written between two checks of the abort signal. */
const PIECE = 2 ** 20;

/** Returns what writes an image. */
export function writerOf(image: FileImage, call: LongCall): WriteFile {
  return async (file) => {
    file.truncate(image.length);
    for (const { offset, bytes } of image.chunks()) {
      for (let done = 0; done < bytes.length; done += PIECE) {
        const piece = bytes.subarray(done, done + PIECE);
        file.write(piece, offset + done);
        const pause = call.step(offset + done + piece.length, image.length);
        if (pause !== undefined) await pause;
      }
    }
  };
}

/** Writes all but the header, which makes a file valid and is therefore written last. */
export class WithoutHeader implements NewFile {
  readonly #file: NewFile;
  #header = new Uint8Array(0);

  constructor(file: NewFile) {
    this.#file = file;
  }

  /** The bytes at the start of the file that were held back. */
  get header(): Uint8Array {
    return this.#header;
  }

  write(bytes: Uint8Array, offset: number): void {
    const held = offset === 0 ? bytes.slice(0, HEADER_AREA_SIZE) : undefined;
    if (held !== undefined) this.#header = held;
    const rest = bytes.subarray(held?.length ?? 0);
    if (rest.length > 0) this.#file.write(rest, offset + bytes.length - rest.length);
  }

  truncate(length: number): void {
    if (length === 0) this.#header = new Uint8Array(0);
    this.#file.truncate(length);
  }
}
