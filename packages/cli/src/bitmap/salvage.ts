import { dirname, resolve } from "node:path";
import { type Bitmap, QdbError, quote } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { closingOnError } from "@qdb/format/internal";
import { detectForeignImage, type FileSource, openFileSource } from "@qdb/io-node";
import type { Qcow2Store } from "@qdb/io-node/container";
import { compareDisks, GuestReader, isQcow2, QCOW2_MAGIC_SIZE, type ReadableDisk } from "@qdb/qcow2";
import { firstBytes } from "../files/first-bytes.ts";

/** Opens the external data file of an image, whose name is relative to the directory of the image. */
function dataFileOpener(image: string, opened: FileSource[]): (name: string) => FileSource {
  return (name) => {
    const source = openFileSource(resolve(dirname(image), name));
    opened.push(source);
    return source;
  };
}

/**
 * Reads the disk of an image and the image of its last backup in full, and returns what differs.
 * @throws {QdbError} NOT_SUPPORTED for data that is not read here: compressed, encrypted, with a backing file, or of another format; as opening
 * and reading the files; ABORTED
 */
export async function differenceOf(
  base: string,
  image: string,
  store: Qcow2Store,
  granularity: number,
  options: LongCallOptions,
): Promise<Bitmap> {
  const opened: FileSource[] = [];
  try {
    const now = await GuestReader.open(store, dataFileOpener(image, opened), { signal: options.signal });
    return await compareDisks(await openBase(base, opened, options), now, granularity, options);
  } finally {
    for (const source of opened) source.close();
  }
}

async function openBase(path: string, opened: FileSource[], { signal }: LongCallOptions): Promise<ReadableDisk> {
  const source = openFileSource(path);
  opened.push(source);
  if (isQcow2(firstBytes(path, QCOW2_MAGIC_SIZE)))
    return closingOnError(source, () => GuestReader.open(source, dataFileOpener(path, opened), { signal }));
  const format = detectForeignImage(path);
  if (format !== undefined)
    throw new QdbError("NOT_SUPPORTED", `${quote(path)} is a ${format} image; convert it to raw with qemu-img convert`);
  return { size: BigInt(source.size), read: async (offset, length) => source.readSync(offset, length) };
}
