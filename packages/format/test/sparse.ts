// A source of any length made of a few pieces, all else zero, that counts what is read of it. Hostile files are made of it.
import type { SyncByteSource } from "../src/index.ts";

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
