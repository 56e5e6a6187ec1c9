import { type Bitmap, readBitmap } from "@qdb/format";
import { bitmapPlan } from "@qdb/format/container";
import { byMagic, loadImageReader } from "../files/bitmap-file.ts";
import { about, diskOptions, mirrorOptions, openFile } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";

/** Another file, QDB or qcow2, whose bitmaps are the sources of actions. */
export interface SourceFile {
  /** Reads and verifies all bits of a bitmap. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem; WRONG_DISK, IO of its disk; as reading the file */
  read(name: string): Promise<Bitmap>;
  close(): Promise<void>;
}

/** Opens a QDB file or a qcow2 image; its first bytes tell which. @throws {QdbError} as opening the file */
export function openSourceFile(path: string, call: Call): Promise<SourceFile> {
  const { signal } = call;
  return byMagic<SourceFile>(path, {
    async qdb() {
      const file = await openFile(path, call, { ...mirrorOptions(call), ...diskOptions(call) });
      return {
        read: (name) => about(path, () => readBitmap(file.bitmap(name), { signal })),
        close: () => file.close(),
      };
    },
    async qcow2() {
      const { openImage } = await loadImageReader();
      const image = await about(path, () => openImage(path, call));
      return {
        read: (name) => about(path, () => image.bitsReader(name).run(bitmapPlan, { signal })),
        close: () => image.close(),
      };
    },
  });
}
