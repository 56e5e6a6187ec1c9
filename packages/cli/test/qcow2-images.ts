// Images for the tests of the commands that read them.
import { appendFileSync, closeSync, openSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeSmallImage, Patchable } from "../../qcow2/test/small-image.ts";
import { type NbdExtent, runPeer } from "./peers.ts";

/** Writes the image of the bitmaps `fine`, `coarse` and `idle`, as `change` leaves it, and gives its path. */
export function smallImage(
  directory: string,
  name: string,
  change: (image: Patchable) => unknown = () => undefined,
): string {
  const path = join(directory, name);
  const image = new Patchable(makeSmallImage(directory));
  change(image);
  writeFileSync(path, image.bytes);
  return path;
}

/** The bits of extents, as plain bytes: least significant bit first. */
export function bitsOf(extents: readonly NbdExtent[], size: number, granularity: number): Buffer {
  const bits = Buffer.alloc(Math.ceil(Math.ceil(size / granularity) / 8));
  for (const { offset, length, type } of extents) {
    if (type !== 1) continue;
    for (let bit = offset / granularity; bit * granularity < offset + length; bit++)
      bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return bits;
}

/** Bytes per cluster of {@link largeImage}. */
const CLUSTER = 65_536;

/**
 * Writes an image whose bitmap `b` has its data clusters behind the end of what QEMU made, one behind the other, and gives its path. Its
 * refcounts are said to be outdated, so that they need not tell of them. `data` writes the data; what it leaves out is a hole.
 */
export function largeImage(
  path: string,
  { size, granularity }: { readonly size: number; readonly granularity: number },
  data: (fd: number, offset: number) => void,
): string {
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `cluster_size=${CLUSTER}`, path, `${size}`]);
  runPeer("qemu-img", ["bitmap", "--add", "-g", `${granularity}`, path, "b"]);
  const image = new Patchable(readFileSync(path)).header({ incompatibleFeatures: 1n });
  const clusters = Math.ceil(size / granularity / 8 / CLUSTER);
  const start = Math.ceil(image.bytes.length / CLUSTER) * CLUSTER;
  for (let cluster = 0; cluster < clusters; cluster++)
    image.tableEntry("b", cluster, BigInt(start + cluster * CLUSTER));
  writeFileSync(path, image.bytes);
  truncateSync(path, start + clusters * CLUSTER);
  const fd = openSync(path, "r+");
  data(fd, start);
  closeSync(fd);
  return path;
}

/**
 * Writes an image of 65535 bitmaps of four clusters each that read as zeros, each with a table of its own, and gives its path. `change`
 * changes a directory entry.
 */
export function crowdedImage(
  directory: string,
  name: string,
  change: (entry: DataView, index: number) => void = () => undefined,
): string {
  const path = join(directory, name);
  const image = new Patchable(makeSmallImage(directory));
  const count = 65_535;
  const at = image.bytes.length;
  const entry = image.bytes.slice(image.directoryAt, image.directoryAt + 32);
  const bytes = new Uint8Array(count * 32);
  const tables = Math.ceil((at + bytes.length) / 512) * 512;
  for (let index = 0; index < count; index++) {
    bytes.set(entry, index * 32);
    const view = new DataView(bytes.buffer, index * 32, 32);
    view.setBigUint64(0, BigInt(tables + index * 512));
    view.setUint16(18, 8);
    new TextEncoder().encodeInto(index.toString(16).padStart(8, "0"), bytes.subarray(index * 32 + 24));
    change(view, index);
  }
  // Refcounts are said to be outdated, and no table of them is there.
  image.header({ incompatibleFeatures: 1n, refcountTableClusters: 0 }).extension({
    nbBitmaps: count,
    bitmapDirectoryOffset: BigInt(at),
    bitmapDirectorySize: BigInt(bytes.length),
  });
  writeFileSync(path, image.bytes);
  appendFileSync(path, bytes);
  truncateSync(path, tables + count * 512);
  return path;
}
