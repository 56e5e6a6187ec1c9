// A source of any length made of a few pieces, all else zero, that counts what is read of it. Hostile files are made of it.
import type { SyncByteSource, SyncStore } from "../src/index.ts";

export interface SparseSource extends SyncByteSource {
  /** Bytes and calls that were asked for. */
  bytesRead: number;
  reads: number;
  /** Called at each read, before it. */
  onRead?: () => void;
}

/** `size` bytes; later pieces lie over earlier ones. Every read gives fresh bytes, as a file does. */
export function sparse(
  size: number,
  ...pieces: readonly (readonly [offset: number, bytes: Uint8Array])[]
): SparseSource {
  return {
    size,
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
