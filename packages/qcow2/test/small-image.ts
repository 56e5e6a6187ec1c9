// A small real image, and a way to break it field by field.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { QdbErrorCode, Where } from "@qdb/format";
import type { Decoded, Fields, Struct } from "@qdb/format/container";
import { BITMAPS_EXTENSION, DIRECTORY_ENTRY, QCOW2_HEADER } from "@qdb/qcow2";
import { runPeer } from "../../cli/test/peers.ts";

/** 512-byte clusters, an 8 MiB disk less one sector: bitmap `fine` takes 4 data clusters, `coarse` one, `idle` none. */
export function makeSmallImage(directory: string): Uint8Array {
  const path = join(directory, "small.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", path, `${SMALL_DISK}`]);
  runPeer("qemu-img", ["bitmap", "--add", "-g", "512", path, "fine"]);
  runPeer("qemu-img", ["bitmap", "--add", "-g", "65536", path, "coarse"]);
  const writes = ["0 512", "3145728 4096", "5242880 1024", "8387584 512"];
  runPeer("qemu-io", ["-f", "qcow2", ...writes.flatMap((range) => ["-c", `write -q -z ${range}`]), path]);
  runPeer("qemu-img", ["bitmap", "--add", "--disable", "-g", "4096", path, "idle"]);
  const image = readFileSync(path);
  // QEMU ends the file with the directory's last byte; here its cluster is whole, and a free one follows.
  const whole = new Uint8Array(Math.ceil(image.length / 512) * 512 + 512);
  whole.set(image);
  return whole;
}

/** The committed image, of 4 KiB clusters. */
export const FIXTURE: URL = new URL("../../../conformance/fixtures/qcow2/bitmaps.qcow2", import.meta.url);

/** Bytes of the virtual disk. */
export const SMALL_DISK = 8 * 1024 * 1024 - 512;

/** An image in memory whose fields tests overwrite. Offsets are found by the field tables alone. */
export class Patchable {
  readonly bytes: Uint8Array;
  readonly extensionAt: number;
  readonly directoryAt: number;
  /** Where the directory entries start, by the names of their bitmaps. */
  readonly entryAt: ReadonlyMap<string, number>;

  constructor(bytes: Uint8Array) {
    // A Buffer's slice would be the same memory.
    this.bytes = new Uint8Array(bytes);
    this.extensionAt = this.#findExtension();
    const extension = BITMAPS_EXTENSION.decode(bytes, this.extensionAt);
    this.directoryAt = Number(extension.bitmapDirectoryOffset);
    const entryAt = new Map<string, number>();
    let at = this.directoryAt;
    for (let count = 0; count < extension.nbBitmaps; count++) {
      const { nameSize } = DIRECTORY_ENTRY.decode(bytes, at);
      entryAt.set(Buffer.from(bytes.subarray(at + 24, at + 24 + nameSize)).toString(), at);
      at += Math.ceil((24 + nameSize) / 8) * 8;
    }
    this.entryAt = entryAt;
  }

  #findExtension(): number {
    const { headerLength } = QCOW2_HEADER.decode(this.bytes);
    const view = new DataView(this.bytes.buffer);
    for (let at = headerLength; ; at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8) {
      if (view.getUint32(at) === 0x23852875) return at + 8;
    }
  }

  #set<F extends Fields>(table: Struct<F>, at: number, change: Partial<Decoded<F>>): this {
    table.encode({ ...table.decode(this.bytes, at), ...change }, this.bytes, at);
    return this;
  }

  /** The fields of the header. */
  get fields(): Decoded<typeof QCOW2_HEADER.fields> {
    return QCOW2_HEADER.decode(this.bytes);
  }

  header(change: Partial<Decoded<typeof QCOW2_HEADER.fields>>): this {
    return this.#set(QCOW2_HEADER, 0, change);
  }

  extension(change: Partial<Decoded<typeof BITMAPS_EXTENSION.fields>>): this {
    return this.#set(BITMAPS_EXTENSION, this.extensionAt, change);
  }

  entry(name: string, change: Partial<Decoded<typeof DIRECTORY_ENTRY.fields>>): this {
    return this.#set(DIRECTORY_ENTRY, this.#entryOf(name), change);
  }

  /** Overwrites bytes of a directory entry's name. */
  rename(name: string, bytes: Iterable<number>): this {
    this.bytes.set([...bytes], this.#entryOf(name) + 24);
    return this;
  }

  /** Overwrites an entry of a bitmap's table. */
  tableEntry(name: string, cluster: number, value: bigint): this {
    new DataView(this.bytes.buffer).setBigUint64(this.tableAt(name) + cluster * 8, value);
    return this;
  }

  readTableEntry(name: string, cluster: number): bigint {
    return new DataView(this.bytes.buffer).getBigUint64(this.tableAt(name) + cluster * 8);
  }

  tableAt(name: string): number {
    return Number(DIRECTORY_ENTRY.decode(this.bytes, this.#entryOf(name)).bitmapTableOffset);
  }

  u32(at: number, value: number): this {
    new DataView(this.bytes.buffer).setUint32(at, value);
    return this;
  }

  #entryOf(name: string): number {
    const at = this.entryAt.get(name);
    if (at === undefined) throw new Error(`no bitmap ${name}`);
    return at;
  }
}

/** A way to break an image, and what is said of it then. */
export type Row = [title: string, code: QdbErrorCode, change: (image: Patchable) => unknown, where?: Where];
