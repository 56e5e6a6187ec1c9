import { QdbError, quote } from "@qdb/format";
import type { FileImage, LongCallOptions } from "@qdb/format/container";
import { closing, HEADER_AREA_SIZE, LongCall } from "@qdb/format/internal";
import type { OpfsPath } from "./opfs-path.ts";
import { OpfsStore } from "./opfs-store.ts";

/**
 * Creates a file of the origin private file system, the header last (spec §5, Creation). An existing file is never overwritten; an empty one
 * counts as none. After an error an empty file can be left; if the tab ends meanwhile, a file without a header.
 * @throws {QdbError} ALREADY_EXISTS; LOCKED if the file is being written by another tab; NOT_FOUND if its folder does not exist; ABORTED; IO;
 * else as {@link openOpfsStore}
 */
export async function createOpfsFile(path: OpfsPath, image: FileImage, options: LongCallOptions = {}): Promise<void> {
  const call = new LongCall(options);
  call.checkSignal();
  const store = await OpfsStore.open(path, { create: true });
  await closing(store, async () => {
    if (store.size > 0) throw new QdbError("ALREADY_EXISTS", `${quote(path)} exists, and is not overwritten`);
    try {
      await writeImageTo(store, image, call);
    } catch (error) {
      // If this fails too, the header is still missing: the file is no QDB file.
      await store.truncate(0).catch(() => undefined);
      throw error;
    }
  });
  call.finish(image.length);
}

async function writeImageTo(store: OpfsStore, image: FileImage, call: LongCall): Promise<void> {
  const header = new Uint8Array(Math.min(HEADER_AREA_SIZE, image.length));
  await store.truncate(image.length);
  for (const { offset, bytes } of image.chunks()) {
    const inHeader = Math.max(0, Math.min(bytes.length, header.length - offset));
    header.set(bytes.subarray(0, inHeader), Math.min(offset, header.length));
    if (inHeader === bytes.length) continue;
    await store.write(offset + inHeader, bytes.subarray(inHeader));
    const pause = call.step(offset + bytes.length, image.length);
    if (pause !== undefined) await pause;
    call.checkSignal();
  }
  await store.flush();
  call.checkSignal();
  await store.write(0, header);
  await store.flush();
}
