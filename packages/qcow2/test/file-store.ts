// A store over a file, without locks: QEMU's are held by the store of @qdb/io-node, which has tests of its own.
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { SyncStore } from "@qdb/format/container";
import { shortRead } from "@qdb/format/container";

/** Opens a file as a store. */
export function fileStore(path: string): SyncStore {
  const fd = openSync(path, "r+");
  return {
    get size() {
      return fstatSync(fd).size;
    },
    readSync(offset, length) {
      const bytes = new Uint8Array(length);
      if (readSync(fd, bytes, 0, length, offset) !== length) throw shortRead(offset, length, fstatSync(fd).size);
      return bytes;
    },
    writeSync(offset, bytes) {
      if (writeSync(fd, bytes, 0, bytes.length, offset) !== bytes.length) throw new Error("short write");
    },
    flushSync() {
      fsyncSync(fd);
    },
    truncateSync(length) {
      ftruncateSync(fd, length);
    },
    close() {
      closeSync(fd);
    },
  };
}
