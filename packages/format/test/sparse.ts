// A source of any length made of a few pieces, all else zero, that counts what is read of it. Hostile files are made of it.
import { ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { SyncStore } from "../src/container.ts";
import type { SyncByteSource } from "../src/index.ts";

export interface SparseSource extends SyncByteSource {
  /** Bytes and calls that were asked for. */
  bytesRead: number;
  reads: number;
  /** Called at each read, before it. */
  onRead?: () => void;
  /** What it is made of. */
  readonly pieces: readonly (readonly [offset: number, bytes: Uint8Array])[];
}

/** `size` bytes; later pieces lie over earlier ones. Every read gives fresh bytes, as a file does. */
export function sparse(
  size: number,
  ...pieces: readonly (readonly [offset: number, bytes: Uint8Array])[]
): SparseSource {
  return {
    size,
    pieces,
    bytesRead: 0,
    reads: 0,
    readSync(offset, length) {
      this.onRead?.();
      if (offset < 0 || length < 0 || offset + length > size)
        throw new Error(`read past the end: ${length} at ${offset}`);
      this.bytesRead += length;
      this.reads++;
      const result = new Uint8Array(length);
      for (const [start, bytes] of pieces) {
        const from = Math.max(offset, start);
        const to = Math.min(offset + length, start + bytes.length);
        if (from < to) result.set(bytes.subarray(from - start, to - start), from - offset);
      }
      return result;
    },
  };
}

/** The same as a file that can be changed: it grows with what is written behind its end. Reads are counted by the source. */
export function sparseStore(source: SparseSource): SyncStore {
  let { size } = source;
  const pieces: (readonly [offset: number, bytes: Uint8Array])[] = [];
  const lay = (offset: number, result: Uint8Array): void => {
    for (const [start, bytes] of pieces) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + result.length, start + bytes.length);
      if (from < to) result.set(bytes.subarray(from - start, to - start), from - offset);
    }
  };
  return {
    get size() {
      return size;
    },
    readSync(offset, length) {
      const there = Math.max(0, Math.min(length, source.size - offset));
      const result = new Uint8Array(length);
      if (there > 0) result.set(source.readSync(offset, there));
      lay(offset, result);
      return result;
    },
    writeSync(offset, bytes) {
      pieces.push([offset, bytes.slice()]);
      size = Math.max(size, offset + bytes.length);
    },
    flushSync: () => undefined,
    truncateSync(length) {
      size = length;
    },
  };
}

/** A source as a file on the disk that can be changed: nothing of it is held. Reads are counted by the source. */
export function fileStore(source: SparseSource, path: string): SyncStore {
  const file = openSync(path, "w+");
  ftruncateSync(file, source.size);
  for (const [offset, bytes] of source.pieces) writeSync(file, bytes, 0, bytes.length, offset);
  let { size } = source;
  return {
    get size() {
      return size;
    },
    readSync(offset, length) {
      source.onRead?.();
      source.bytesRead += length;
      source.reads++;
      const result = new Uint8Array(length);
      if (readSync(file, result, 0, length, offset) !== length)
        throw new Error(`read past the end: ${length} at ${offset}`);
      return result;
    },
    writeSync(offset, bytes) {
      for (let done = 0; done < bytes.length; )
        done += writeSync(file, bytes, done, bytes.length - done, offset + done);
      size = Math.max(size, offset + bytes.length);
    },
    flushSync: () => undefined,
    truncateSync(length) {
      ftruncateSync(file, length);
      size = length;
    },
  };
}
