// Opens a file with bitmaps for a command that reads it: a QDB file or a qcow2 image. Its first bytes tell which it is.
import { isQdbError, type QdbError, type QdbFile } from "@qdb/format";
import type { MirrorOptions } from "@qdb/format/container";
import { type BitsReader, bitsReaderOf, closing } from "@qdb/format/internal";
import type { DiskOptions } from "@qdb/io-node";
import { isQcow2, QCOW2_MAGIC_SIZE, type Qcow2File } from "@qdb/qcow2";
import type { Call } from "../shell/command.ts";
import { firstBytes } from "./first-bytes.ts";
import { about, openFile, requireFile } from "./open-qdb.ts";

/** What reads images. It is loaded for an image only. */
export type ImageReader = typeof import("./image-file.ts");

/** Loads what reads images. */
export function loadImageReader(): Promise<ImageReader> {
  return import("./image-file.ts");
}

/** What a command does with a file, by its format. */
export interface ByFormat<T> {
  qdb(file: QdbFile): Promise<T>;
  qcow2(image: Qcow2File, reader: ImageReader): Promise<T>;
}

/**
 * Does what a command does with a file of its format; a file that does not begin as a qcow2 image is taken for a QDB file. Errors of looking
 * at its first bytes get the name of the file and advice.
 * @throws {QdbError} USAGE for `-`; as opening and reading a file source; what the work throws
 */
export async function byMagic<T>(
  path: string,
  work: { readonly qdb: () => Promise<T>; readonly qcow2: () => Promise<T> },
): Promise<T> {
  requireFile(path);
  const head = await about(path, () => tryFirstBytes(path));
  if (head instanceof Uint8Array && isQcow2(head)) return work.qcow2();
  try {
    // If the first bytes cannot be read, a QDB file may be read by its mirror.
    return await work.qdb();
  } catch (error) {
    if (head instanceof Uint8Array || !isQdbError(error, "BAD_MAGIC")) throw error;
    return about(path, () => {
      throw head;
    });
  }
}

/** Returns the first bytes of a file, or the error of reading them. */
function tryFirstBytes(path: string): Uint8Array | QdbError {
  try {
    return firstBytes(path, QCOW2_MAGIC_SIZE);
  } catch (error) {
    if (isQdbError(error, "IO", "SHORT_READ")) return error;
    throw error;
  }
}

/**
 * Opens a file, does what a command does with a file of its format, and closes it. `options` are for a QDB file: an image records no disk,
 * and its header has no mirror. Errors get the name of the file and advice.
 * @throws {QdbError} as {@link byMagic}, opening the file, and the work
 */
export function readBitmapFile<T>(
  path: string,
  call: Pick<Call, "signal">,
  work: ByFormat<T>,
  options: MirrorOptions & DiskOptions = {},
): Promise<T> {
  return byMagic(path, {
    async qdb() {
      const file = await openFile(path, call, options);
      return closing(file, () => about(path, () => work.qdb(file)));
    },
    async qcow2() {
      const reader = await loadImageReader();
      const image = await about(path, () => reader.openImage(path, call));
      return closing(image, () => about(path, () => work.qcow2(image, reader)));
    },
  });
}

/** Opens a file as {@link readBitmapFile} does, for work on the bits of one bitmap. @throws {QdbError} NOT_FOUND; as {@link readBitmapFile} */
export function readBitmapBits<T>(
  path: string,
  name: string,
  call: Pick<Call, "signal">,
  work: (bits: BitsReader) => Promise<T>,
  options: MirrorOptions & DiskOptions,
): Promise<T> {
  const byFormat: ByFormat<T> = {
    qdb: (file) => work(bitsReaderOf(file.bitmap(name))),
    qcow2: (image) => work(image.bitsReader(name)),
  };
  return readBitmapFile(path, call, byFormat, options);
}
