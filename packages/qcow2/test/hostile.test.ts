import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isQdbError, type SyncByteSource } from "@qdb/format";
import { runSync } from "@qdb/format/container";
import { readQcow2Index } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers } from "../../cli/test/peers.ts";
import { countingSource, dirtyOf, readAll } from "./reading.ts";
import { makeSmallImage, Patchable } from "./small-image.ts";

let directory: string;
let small: Uint8Array;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-qcow2-"));
  small = makeSmallImage(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Reads everything that can be read; gives how many bitmaps were, or throws what is no QdbError. */
function tryAll(source: SyncByteSource): number {
  let read = 0;
  try {
    const index = runSync(readQcow2Index(source.size), source);
    for (const bitmap of index.bitmaps) {
      try {
        const map = bitmap.map();
        if (map.count <= 4096 && map.shape.size < 2n ** 53n) dirtyOf(map, source);
        read++;
      } catch (error) {
        if (!isQdbError(error)) throw error;
      }
    }
  } catch (error) {
    if (!isQdbError(error)) throw error;
  }
  return read;
}

/** `pnpm soak qcow2` tries all of them, `npm test` one of three. */
const isSoak = process.env.QDB_SOAK === "1";

test("bits of header, directory and tables flipped give a result or a typed error, within the bound of bytes read", () => {
  const image = new Patchable(small);
  const places = new Set<number>();
  const add = (start: number, length: number): void => {
    for (let at = start; at < start + length; at++) places.add(at);
  };
  add(0, 512);
  add(image.directoryAt, 104);
  for (const name of ["fine", "coarse", "idle"]) add(image.tableAt(name), 32);
  const results = [0, 0, 0, 0];
  for (const at of places) {
    for (const [bit, flip] of [1, 2, 4, 8, 16, 32, 64, 128, 255].entries()) {
      if (!isSoak && (at + bit) % 3 !== 0) continue;
      const bytes = small.slice();
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      const source = countingSource(bytes);
      const read = tryAll(source);
      results[read] = (results[read] ?? 0) + 1;
      expect(source.bytesRead, `byte ${at} ^ ${flip}`).toBeLessThanOrEqual(bytes.length + 65536);
    }
  }
  // Some flips refuse everything, some one bitmap, some nothing; never more than there is.
  expect(results[0]).toBeGreaterThan(isSoak ? 500 : 150);
  expect(results[2]).toBeGreaterThan(isSoak ? 500 : 150);
  expect(results).toHaveLength(4);
});

test("lengths that the image is cut to give a result or a typed error", () => {
  for (let length = 0; length < small.length; length += isSoak ? 1 : 3)
    tryAll(countingSource(small.subarray(0, length)));
});

test("a source that grows short while it is read is an error, not zeros", () => {
  const cut = countingSource(small.subarray(0, new Patchable(small).tableAt("fine") + 8));
  expect(() => runSync(readQcow2Index(small.length), cut)).toThrow(expect.objectContaining({ code: "SHORT_READ" }));
  const { index } = readAll(small);
  const map = index.bitmaps[0]!.map();
  expect(() => dirtyOf(map, countingSource(small.subarray(0, map.offset(0) + 8)))).toThrow(
    expect.objectContaining({ code: "SHORT_READ" }),
  );
});

/** Bytes at a file offset. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A file of zeros, of any length, with pieces in it: what is read of it is counted, not kept. */
interface SparseSource extends SyncByteSource {
  bytesRead: number;
  /** Called before each read. */
  onRead: () => void;
}

function sparseSource(size: number, pieces: readonly Piece[]): SparseSource {
  return {
    size,
    bytesRead: 0,
    onRead: () => undefined,
    readSync(offset, length) {
      this.onRead();
      this.bytesRead += length;
      const result = new Uint8Array(length);
      for (const { offset: start, bytes } of pieces) {
        const from = Math.max(offset, start);
        const end = Math.min(offset + length, start + bytes.length);
        if (from < end) result.set(bytes.subarray(from - start, end - start), from - offset);
      }
      return result;
    },
  };
}

test("65535 bitmaps of one name cost little more than their bytes", () => {
  const count = 65535;
  const image = new Patchable(small);
  const entry = image.bytes.slice(image.directoryAt, image.directoryAt + 32);
  const directoryBytes = new Uint8Array(count * 32);
  for (let index = 0; index < count; index++) directoryBytes.set(entry, index * 32);
  const offset = small.length;
  image.extension({
    nbBitmaps: count,
    bitmapDirectoryOffset: BigInt(offset),
    bitmapDirectorySize: BigInt(directoryBytes.length),
  });
  const pieces = [
    { offset: 0, bytes: image.bytes },
    { offset, bytes: directoryBytes },
  ];
  const source = sparseSource(offset + directoryBytes.length, pieces);
  expect(codesWithin(source)).toEqual({ DUPLICATE_NAME: count });
});

test("a directory that is not in the file is not allocated for", () => {
  const image = new Patchable(small).extension({ bitmapDirectorySize: 64n * 2n ** 20n });
  const source = countingSource(image.bytes);
  expect(() => runSync(readQcow2Index(source.size), source)).toThrow(
    expect.objectContaining({ code: "OUT_OF_BOUNDS" }),
  );
  expect(source.bytesRead).toBeLessThanOrEqual(65536);
});

// Comparing each with each would take hours: the time limit of the tests is the bound.
test("a table of 2^20 entries that repeat one cluster is refused in time", () => {
  const entries = 2 ** 20;
  const image = new Patchable(small).header({ size: BigInt(entries) * 512n * 8n * 512n });
  const offset = small.length;
  const table = new Uint8Array(entries * 8);
  const view = new DataView(table.buffer);
  const data = offset + table.length;
  for (let index = 0; index < entries; index++) view.setBigUint64(index * 8, BigInt(data));
  image.entry("fine", { bitmapTableSize: entries, bitmapTableOffset: BigInt(offset) });
  const source = sparseSource(data + 512, [
    { offset: 0, bytes: image.bytes },
    { offset, bytes: table },
  ]);
  const index = runSync(readQcow2Index(source.size), source);
  expect(() => index.bitmaps[0]!.map()).toThrow(expect.objectContaining({ code: "OVERLAP" }));
});

/** Entries of a directory or a table, all alike but for what `change` does to them. */
function repeated(entry: Uint8Array, count: number, change: (view: DataView, index: number) => void): Uint8Array {
  const bytes = new Uint8Array(count * entry.length);
  for (let index = 0; index < count; index++) {
    bytes.set(entry, index * entry.length);
    change(new DataView(bytes.buffer, index * entry.length, entry.length), index);
  }
  return bytes;
}

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** Bytes that are held; garbage does not count. */
function memoryHeld(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Reads an index within the bounds of spec §7.4, and gives how often each code is the problem of a bitmap. */
function codesWithin(source: SparseSource): Record<string, number> {
  const base = memoryHeld();
  let lookAt = 0;
  const look = (): void => expect(memoryHeld() - base).toBeLessThan(16 * 2 ** 20 + 4 * source.bytesRead);
  source.onRead = () => {
    if (source.bytesRead < lookAt) return;
    look();
    // A collection takes longer than most reads.
    lookAt = source.bytesRead + 2 ** 20;
  };
  const index = runSync(readQcow2Index(source.size), source);
  look();
  expect(source.bytesRead).toBeLessThanOrEqual(source.size + 65536);
  const codes: Record<string, number> = {};
  for (const { problem } of index.bitmaps) codes[`${problem?.code}`] = (codes[`${problem?.code}`] ?? 0) + 1;
  return codes;
}

const MANY = 65535;

/** An image whose directory, behind its end, has as many bitmaps of one table each as there can be; refcounts are not looked at. */
function manyBitmaps(change: (view: DataView, index: number) => void): {
  image: Patchable;
  pieces: Piece[];
  end: number;
} {
  const image = new Patchable(small);
  const entry = image.bytes.slice(image.directoryAt, image.directoryAt + 32);
  entry.set([0, 5], 18);
  const bytes = repeated(entry, MANY, (view, index) => {
    view.setUint32(24, index * 0x10001);
    change(view, index);
  });
  const offset = small.length;
  image.header({ incompatibleFeatures: 1n }).extension({
    nbBitmaps: MANY,
    bitmapDirectoryOffset: BigInt(offset),
    bitmapDirectorySize: BigInt(bytes.length),
  });
  return {
    image,
    pieces: [
      { offset: 0, bytes: image.bytes },
      { offset, bytes },
    ],
    end: offset + bytes.length,
  };
}

test("65535 bitmaps that share one table of 2^20 entries", () => {
  const entries = 2 ** 20;
  const { image, pieces, end } = manyBitmaps((view) => {
    view.setBigUint64(0, BigInt(2 ** 25));
    view.setUint32(8, entries);
  });
  image.header({ size: BigInt(entries) * 512n * 8n * 512n });
  const table = repeated(new Uint8Array(8), entries, (view, index) =>
    view.setBigUint64(0, BigInt(2 ** 26 + (index % 1000) * 512)),
  );
  expect(end).toBeLessThan(2 ** 25);
  const source = sparseSource(2 ** 27, [...pieces, { offset: 2 ** 25, bytes: table }]);
  expect(codesWithin(source)).toEqual({ OVERLAP: MANY });
});

test("65535 bitmaps whose tables name one data cluster", () => {
  const { image, pieces } = manyBitmaps((view, index) => {
    view.setBigUint64(0, BigInt(2 ** 25 + index * 512));
    view.setUint32(8, 4);
  });
  const tables = repeated(new Uint8Array(512), MANY, (view) => view.setBigUint64(0, BigInt(2 ** 24)));
  const source = sparseSource(2 ** 27, [...pieces, { offset: 2 ** 25, bytes: tables }]);
  expect(image.fields.clusterBits).toBe(9);
  expect(codesWithin(source)).toEqual({ OVERLAP: MANY });
});

test("tables of more than 128 MiB together are refused with LIMIT, and none is read", () => {
  const entries = 2 ** 20;
  const { image, pieces } = manyBitmaps((view, index) => {
    view.setBigUint64(0, BigInt(2 ** 25 + index * entries * 8));
    view.setUint32(8, entries);
  });
  image.header({ size: BigInt(entries) * 512n * 8n * 512n });
  const source = sparseSource(2 ** 40, pieces);
  expect(codesWithin(source)).toEqual({ LIMIT: MANY });
  expect(source.bytesRead).toBeLessThan(4 * 2 ** 20);
});

test("an L1 table of 2^22 entries that name one L2 table, which is read once", () => {
  const image = new Patchable(small).header({ l1TableOffset: BigInt(2 ** 20), l1Size: 2 ** 22 });
  const l1 = repeated(new Uint8Array(8), 2 ** 22, (view) => view.setBigUint64(0, BigInt(2 ** 19)));
  const source = sparseSource(2 ** 26, [
    { offset: 0, bytes: image.bytes },
    { offset: 2 ** 20, bytes: l1 },
  ]);
  expect(codesWithin(source)).toEqual({ undefined: 3 });
  expect(source.bytesRead).toBeLessThan(l1.length + 2 * 65536);
});

test("65536 snapshots with one L1 table: structures that cannot all be in the file are OVERLAP", () => {
  const image = new Patchable(small).header({ snapshotsOffset: BigInt(2 ** 20), nbSnapshots: 65536 });
  const entries = repeated(new Uint8Array(40), 65536, (view) => {
    view.setBigUint64(0, BigInt(2 ** 23));
    view.setUint32(8, 2 ** 17);
  });
  const source = sparseSource(2 ** 24, [
    { offset: 0, bytes: image.bytes },
    { offset: 2 ** 20, bytes: entries },
  ]);
  expect(codesWithin(source)).toEqual({ OVERLAP: 3 });
});

test("snapshot table entries of 4 GiB lead nowhere", () => {
  const image = new Patchable(small).header({ snapshotsOffset: BigInt(2 ** 20), nbSnapshots: 65536 });
  const entry = repeated(new Uint8Array(40), 1, (view) => view.setUint32(36, 0xffffffff));
  const source = sparseSource(2 ** 24, [
    { offset: 0, bytes: image.bytes },
    { offset: 2 ** 20, bytes: entry },
  ]);
  expect(codesWithin(source)).toEqual({ OUT_OF_BOUNDS: 3 });
});

test("a refcount table that names one block for everything", () => {
  const image = new Patchable(small).header({ refcountTableOffset: BigInt(2 ** 20), refcountTableClusters: 16384 });
  const table = repeated(new Uint8Array(8), 2 ** 20, (view) => view.setBigUint64(0, BigInt(2 ** 19)));
  const block = repeated(new Uint8Array(2), 256, (view) => view.setUint16(0, 1));
  const source = sparseSource(2 ** 24, [
    { offset: 0, bytes: image.bytes },
    { offset: 2 ** 20, bytes: table },
    { offset: 2 ** 19, bytes: block },
  ]);
  expect(codesWithin(source)).toEqual({ undefined: 3 });
});
