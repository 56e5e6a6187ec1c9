import type { FileImage, SyncStore } from "@qdb/format/container";

/** Writes a file image to an empty store. */
export function writeWhole(store: SyncStore, image: FileImage): void {
  store.truncateSync(image.length);
  for (const { offset, bytes } of image.chunks()) store.writeSync(offset, bytes);
}

/** The same store, which stays open when its edit ends. */
export function withoutClose(store: SyncStore): SyncStore {
  return {
    get size() {
      return store.size;
    },
    readSync: (offset, length) => store.readSync(offset, length),
    writeSync: (offset, bytes) => store.writeSync(offset, bytes),
    flushSync: () => store.flushSync(),
    truncateSync: (length) => store.truncateSync(length),
  };
}
