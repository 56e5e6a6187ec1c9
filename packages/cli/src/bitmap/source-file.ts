import { type Bitmap, QdbError, quote, readBitmap } from "@qdb/format";
import { bitmapPlan, type Plan } from "@qdb/format/container";
import { closingOnError } from "@qdb/format/internal";
import { openFileSource } from "@qdb/io-node";
import { isQcow2, Qcow2File, type Qcow2Index } from "@qdb/qcow2";
import { firstBytes } from "../files/first-bytes.ts";
import { about, diskOptions, mirrorOptions, openFile, requireFile } from "../files/open-qdb.ts";
import { aboutSource } from "../import/request.ts";
import type { Call } from "../shell/command.ts";

/** Another file, QDB or qcow2, whose bitmaps are the sources of actions. */
export interface SourceFile {
  /** Reads and verifies all bits of a bitmap. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; WRONG_DISK, IO of its disk; as reading the file */
  read(name: string): Promise<Bitmap>;
  close(): Promise<void>;
}

/** Opens a QDB file or a qcow2 image; its first bytes tell which. @throws {QdbError} as opening the file */
export async function openSourceFile(path: string, call: Call): Promise<SourceFile> {
  requireFile(path);
  const isImage = await about(path, () => isQcow2(firstBytes(path, 4)));
  return isImage ? aboutSource({ source: path }, () => openImage(path, call)) : openQdbSource(path, call);
}

async function openQdbSource(path: string, call: Call): Promise<SourceFile> {
  const file = await openFile(path, call, { ...mirrorOptions(call), ...diskOptions(call) });
  return {
    read: (name) => about(path, () => readBitmap(file.bitmap(name), { signal: call.signal })),
    close: () => file.close(),
  };
}

async function openImage(path: string, { signal }: Call): Promise<SourceFile> {
  const source = openFileSource(path);
  return closingOnError(source, async () => {
    const file = await Qcow2File.open(source, { signal });
    return {
      read: (name) =>
        aboutSource({ source: path }, () => file.run((index) => readImageBitmap(index, name, path), { signal })),
      close: () => file.close(),
    };
  });
}

/** @throws {QdbError} NOT_FOUND; the bitmap's problem */
function* readImageBitmap({ bitmaps }: Qcow2Index, name: string, path: string): Plan<Bitmap> {
  const bitmap = bitmaps.find(({ label }) => label === name);
  if (bitmap === undefined) throw new QdbError("NOT_FOUND", `the image ${quote(path)} holds no bitmap ${quote(name)}`);
  return yield* bitmapPlan(bitmap.map());
}
