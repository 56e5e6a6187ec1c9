// A disk behind the cache of an operating system. Reads see the cache; a power cut leaves the disk.
import { type FileImage, imageBytes, type SyncStore, shortRead } from "@qdb/format/container";
import { io } from "../store.ts";

/** Unit in which the cache writes back. */
export const PAGE = 4096;

/** Something that was written and that no flush has covered yet. */
export type Pending =
  | {
      readonly kind: "page";
      readonly page: number;
      /** The whole page as the cache holds it; zero behind the end of the file. */
      readonly bytes: Uint8Array;
      /** Bytes of the page that changed: [from, to). */
      readonly from: number;
      readonly to: number;
    }
  | { readonly kind: "length"; readonly length: number };

/** What a power cut between two flushes can meet. */
export interface Epoch {
  readonly durable: Uint8Array;
  readonly pending: readonly Pending[];
  /** The file as a reader sees it at the end of the epoch, where that ended with a flush that covered all of it. */
  readonly covered?: Uint8Array;
}

/** An operation that fails: the n-th one from now that changes the file, or waits for it. */
export interface Fault {
  readonly after: number;
  /** Of the pages whose flush failed, how many reach the disk; of a write that failed, how much of it was done. */
  readonly share: number;
}

export class Disk implements SyncStore {
  readonly fixedSize: boolean;
  #durable: Uint8Array;
  #cache: Uint8Array;
  #length: number;
  #pending: Pending[] = [];
  #epochs: Epoch[] = [];
  #fault: Fault | undefined;
  /** Pages whose flush failed: the cache calls them clean, the disk may not have them. */
  readonly #stale = new Set<number>();
  readonly #dice: () => number;
  /** Number of operations that changed the file, or waited for it. */
  changes = 0;
  /** Whether the operation that was told to fail did. */
  failed = false;

  /** `bytes` are not changed afterwards, by nobody. */
  constructor(bytes: Uint8Array, dice: () => number, { fixedSize = false }: { readonly fixedSize?: boolean } = {}) {
    this.fixedSize = fixedSize;
    this.#durable = bytes;
    this.#cache = bytes.slice();
    this.#length = bytes.length;
    this.#dice = dice;
  }

  get size(): number {
    return this.#length;
  }

  /** The file as a reader sees it. */
  get bytes(): Uint8Array {
    return this.cached.slice();
  }

  /** The same, in place: it is there only until the next operation. */
  get cached(): Uint8Array {
    return this.#cache.subarray(0, this.#length);
  }

  /** Whether the cache shows what the disk may not have. */
  get isStale(): boolean {
    return this.#stale.size > 0;
  }

  /** Makes an operation of what follows fail; none where no fault is given. */
  failAt(fault: Fault | undefined): void {
    this.#fault = fault;
    this.failed = false;
  }

  /** What power cuts can meet since the last call, the present moment included. */
  epochs(): Epoch[] {
    const epochs = [...this.#epochs, { durable: this.#durable, pending: [...this.#pending] }];
    this.#epochs = [];
    return epochs;
  }

  readSync(offset: number, length: number): Uint8Array {
    this.#evict();
    if (offset + length > this.#length) throw shortRead(offset, length, this.#length);
    return this.#cache.slice(offset, offset + length);
  }

  writeSync(offset: number, bytes: Uint8Array): void {
    if (this.fixedSize && offset + bytes.length > this.#length) throw io("no space is left on the device");
    const share = this.#begin();
    if (share === undefined) this.#write(offset, bytes);
    else {
      this.#write(offset, bytes.subarray(0, Math.floor(bytes.length * share)));
      throw io("the write failed");
    }
  }

  flushSync(): void {
    const share = this.#begin();
    const durable = this.#durable;
    const pending = this.#pending;
    this.#pending = [];
    if (share === undefined) {
      this.#durable = stored(durable, pending, () => true, this.#length);
      // Without a stale page, what a reader sees is what the disk has now.
      this.#epochs.push({ durable, pending, ...(this.isStale ? {} : { covered: this.#durable }) });
      return;
    }
    this.#epochs.push({ durable, pending });
    const keepsLength = this.#dice() < 0.5;
    this.#durable = stored(durable, pending, () => this.#dice() < share, keepsLength ? this.#length : durable.length);
    for (const op of pending) if (op.kind === "page") this.#stale.add(op.page);
    // The length was not lost: it is written with the next flush.
    if (!keepsLength) this.#pending.push({ kind: "length", length: this.#length });
    throw io("the flush failed");
  }

  truncateSync(length: number): void {
    if (this.fixedSize) throw io("a device cannot be cut");
    if (this.#begin() !== undefined) throw io("the cut failed");
    this.#cache.fill(0, length, this.#length);
    this.#length = length;
    for (const page of this.#stale) if (page * PAGE >= length) this.#stale.delete(page);
    // The file system clears the rest of the last page, and so writes all of it.
    if (length % PAGE !== 0) this.#dirty(Math.floor(length / PAGE), length % PAGE, PAGE);
    this.#pending.push({ kind: "length", length });
  }

  replaceSync(image: FileImage): void {
    if (this.#begin() !== undefined) throw io("the file could not be replaced");
    const bytes = imageBytes(image);
    this.#epochs.push({ durable: this.#durable, pending: this.#pending });
    this.#durable = bytes;
    this.#cache = bytes.slice();
    this.#length = bytes.length;
    this.#pending = [];
    this.#stale.clear();
  }

  /** Counts an operation; gives the fault that it meets. */
  #begin(): number | undefined {
    this.#evict();
    this.changes++;
    const fault = this.#fault;
    if (fault === undefined) return undefined;
    this.#fault = { ...fault, after: fault.after - 1 };
    if (fault.after > 0) return undefined;
    this.#fault = undefined;
    this.failed = true;
    return fault.share;
  }

  #write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.#cache.length) {
      const grown = new Uint8Array(end * 2);
      grown.set(this.#cache.subarray(0, this.#length));
      this.#cache = grown;
    }
    this.#cache.set(bytes, offset);
    if (end > this.#length) {
      this.#length = end;
      this.#pending.push({ kind: "length", length: end });
    }
    for (let page = Math.floor(offset / PAGE); page * PAGE < end; page++) {
      this.#dirty(page, Math.max(0, offset - page * PAGE), Math.min(PAGE, end - page * PAGE));
    }
  }

  #dirty(page: number, from: number, to: number): void {
    this.#stale.delete(page);
    const bytes = new Uint8Array(PAGE);
    bytes.set(this.#cache.subarray(page * PAGE, Math.min(page * PAGE + PAGE, this.#length)));
    this.#pending.push({ kind: "page", page, bytes, from, to });
  }

  /** A page that the cache calls clean can leave it at any time, and is then read from the disk. */
  #evict(): void {
    for (const page of this.#stale) {
      if (this.#dice() > 0.1) continue;
      this.#stale.delete(page);
      const start = page * PAGE;
      const end = Math.min(start + PAGE, this.#length);
      this.#cache.fill(0, start, end);
      this.#cache.set(this.#durable.subarray(start, Math.min(end, this.#durable.length)), start);
    }
  }
}

/** The disk with pages stored; what cuts and grows the file in between is done where the page's turn comes. */
function stored(durable: Uint8Array, pending: readonly Pending[], keeps: () => boolean, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(durable.subarray(0, length));
  let end = durable.length;
  for (const op of pending) {
    if (op.kind === "page") {
      const start = op.page * PAGE;
      if (keeps() && start < length) result.set(op.bytes.subarray(0, length - start), start);
    } else {
      if (op.length < end) result.fill(0, op.length, end);
      end = op.length;
    }
  }
  return result.fill(0, Math.min(length, end));
}

/** Bytes of a disk with all that is pending on it. */
export function extent(durable: Uint8Array, pending: readonly Pending[]): number {
  let end = durable.length;
  for (const op of pending) end = Math.max(end, op.kind === "page" ? op.page * PAGE + PAGE : op.length);
  return end;
}
