// Bits of the bitmaps of a qcow2 image, by the document of the format alone (docs/interop/qcow2 of QEMU). QEMU fills a bitmap only by writes
// of a guest, one by one.
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import type { PlainBitmaps } from "./bitmaps.ts";

const BITMAPS_EXTENSION = 0x23852875;

/** Refcounts of 16 bits, which `qemu-img create` makes. */
const REFCOUNT_ORDER = 4;

/** Bits of a table entry that are an offset. */
const OFFSET = 0x00fffffffffffe00n;

/** A bitmap of an image. */
interface Entry {
  readonly granularity: number;
  readonly tableOffset: number;
  readonly tableSize: number;
}

/** A qcow2 image that is open. */
export class Qcow2Image {
  readonly #fd: number;
  readonly #header: DataView;
  readonly #clusterSize: number;
  readonly #entries: ReadonlyMap<string, Entry>;

  /** Opens an image; `flags` as for `fs.openSync`. @throws {Error} if it has no bitmaps */
  constructor(path: string, flags: "r" | "r+") {
    this.#fd = openSync(path, flags);
    this.#header = viewOf(this.#read(0, 4096));
    this.#clusterSize = 2 ** this.#header.getUint32(20);
    this.#entries = this.#readDirectory();
  }

  #read(offset: number, length: number): Buffer<ArrayBuffer> {
    const buffer = Buffer.alloc(length);
    // The directory may be the last thing in the file.
    readSync(this.#fd, buffer, 0, length, offset);
    return buffer;
  }

  #readDirectory(): Map<string, Entry> {
    const header = this.#header;
    let at = header.getUint32(100);
    while (header.getUint32(at) !== BITMAPS_EXTENSION) {
      if (header.getUint32(at) === 0) throw new Error("the image has no bitmaps");
      at += 8 + Math.ceil(header.getUint32(at + 4) / 8) * 8;
    }
    const directory = this.#read(Number(header.getBigUint64(at + 24)), Number(header.getBigUint64(at + 16)));
    const view = viewOf(directory);
    const entries = new Map<string, Entry>();
    for (let place = 0; place < directory.length; ) {
      const nameSize = view.getUint16(place + 18);
      entries.set(directory.toString("utf8", place + 24, place + 24 + nameSize), {
        granularity: 2 ** view.getUint8(place + 17),
        tableOffset: Number(view.getBigUint64(place)),
        tableSize: view.getUint32(place + 8),
      });
      place += Math.ceil((24 + nameSize) / 8) * 8;
    }
    return entries;
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`the image has no bitmap ${name}`);
    return entry;
  }

  /** The names of the bitmaps. */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Bytes a bit. */
  granularity(name: string): number {
    return this.#entry(name).granularity;
  }

  /** Returns the bits of a bitmap, the least significant bit of a byte first. The last bytes may be behind the end of the disk. */
  bits(name: string): Buffer {
    const { tableOffset, tableSize } = this.#entry(name);
    const table = viewOf(this.#read(tableOffset, tableSize * 8));
    const bits = Buffer.alloc(tableSize * this.#clusterSize);
    for (let index = 0; index < tableSize; index++) {
      const entry = table.getBigUint64(index * 8);
      const at = index * this.#clusterSize;
      const offset = Number(entry & OFFSET);
      if (offset !== 0) readSync(this.#fd, bits, at, this.#clusterSize, offset);
      else if (entry === 1n) bits.fill(0xff, at, at + this.#clusterSize);
    }
    return bits;
  }

  /** Gives bits to a bitmap that has none yet. They are stored behind the end of the file. @throws {Error} if it cannot be done so */
  store(name: string, bits: Buffer): void {
    const { tableOffset, tableSize } = this.#entry(name);
    const clusterSize = this.#clusterSize;
    const table = Buffer.alloc(tableSize * 8);
    let end = Math.ceil(fstatSync(this.#fd).size / clusterSize) * clusterSize;
    const first = end;
    for (let index = 0; index < tableSize; index++) {
      const cluster = bits.subarray(index * clusterSize, (index + 1) * clusterSize);
      if (cluster.every((byte) => byte === 0)) continue;
      writeSync(this.#fd, cluster, 0, cluster.length, end);
      table.writeBigUInt64BE(BigInt(end), index * 8);
      end += clusterSize;
    }
    this.#countClusters(first, end);
    writeSync(this.#fd, table, 0, table.length, tableOffset);
  }

  /** Makes the refcount of clusters 1. */
  #countClusters(start: number, end: number): void {
    const header = this.#header;
    if (header.getUint32(96) !== REFCOUNT_ORDER) throw new Error("the refcounts have not 16 bits");
    const first = start / this.#clusterSize;
    const count = (end - start) / this.#clusterSize;
    if ((first + count) * 2 > this.#clusterSize) throw new Error("the bits need more than one block of refcounts");
    const block = Number(viewOf(this.#read(Number(header.getBigUint64(48)), 8)).getBigUint64(0));
    const ones = Buffer.alloc(count * 2);
    for (let index = 0; index < count; index++) ones.writeUInt16BE(1, index * 2);
    writeSync(this.#fd, ones, 0, ones.length, block + first * 2);
  }

  /** Closes the file. */
  close(): void {
    closeSync(this.#fd);
  }
}

function viewOf(bytes: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Returns the bitmaps of an image. */
export function bitmapsOfQcow2(path: string): PlainBitmaps {
  const image = new Qcow2Image(path, "r");
  try {
    return new Map(image.names.map((name) => [name, { granularity: image.granularity(name), bits: image.bits(name) }]));
  } finally {
    image.close();
  }
}
