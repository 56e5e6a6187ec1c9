// A file in memory, for tests in Node and in a page: it imports nothing of Node.
import { type FileImage, imageBytes, type SyncStore, shortRead } from "@qdb/format/container";

/** An operation of a store. */
export type Op =
  | { readonly kind: "read"; readonly offset: number; readonly length: number }
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "flush" }
  | { readonly kind: "truncate"; readonly length: number }
  | { readonly kind: "replace"; readonly bytes: Uint8Array };

/** An operation that changes a file or waits for it. */
export type Change = Exclude<Op, { readonly kind: "read" } | { readonly kind: "replace" }>;

/** A file in memory. Reads return copies, which do not change with the file. */
export class MemoryStore implements SyncStore {
  #bytes: Uint8Array;
  readonly log: Op[] = [];
  /** Called before each operation. If it throws, the operation fails with that error. */
  before: (op: Op) => void = () => undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
  }

  get size(): number {
    return this.#bytes.length;
  }

  get bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  /** All operations except reads. */
  get changes(): Change[] {
    return this.log.filter((op): op is Change => op.kind !== "read" && op.kind !== "replace");
  }

  #do(op: Op): void {
    this.before(op);
    this.log.push(op);
  }

  readSync(offset: number, length: number): Uint8Array {
    this.#do({ kind: "read", offset, length });
    if (offset + length > this.#bytes.length) throw shortRead(offset, length, this.#bytes.length);
    return this.#bytes.slice(offset, offset + length);
  }

  writeSync(offset: number, bytes: Uint8Array): void {
    this.#do({ kind: "write", offset, bytes: bytes.slice() });
    this.#bytes = written(this.#bytes, offset, bytes);
  }

  flushSync(): void {
    this.#do({ kind: "flush" });
  }

  truncateSync(length: number): void {
    this.#do({ kind: "truncate", length });
    this.#bytes = this.#bytes.slice(0, length);
  }

  replaceSync(image: FileImage): void {
    const bytes = imageBytes(image);
    this.#do({ kind: "replace", bytes });
    this.#bytes = bytes;
  }
}

/** A copy of a file with bytes overwritten; it grows if needed. */
export function written(bytes: Uint8Array, offset: number, piece: Uint8Array): Uint8Array {
  const target = offset + piece.length > bytes.length ? new Uint8Array(offset + piece.length) : bytes;
  if (target !== bytes) target.set(bytes);
  target.set(piece, offset);
  return target;
}
