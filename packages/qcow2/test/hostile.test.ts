import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isQdbError, runSync, type SyncByteSource } from "@qdb/format";
import { readQcow2Index, readQcow2Map } from "@qdb/qcow2";
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
        const map = runSync(readQcow2Map(index, bitmap), source);
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

test("every bit of header, directory and tables flipped gives a result or a typed error, within the bound of bytes read", () => {
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
    for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
      const bytes = small.slice();
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      const source = countingSource(bytes);
      const read = tryAll(source);
      results[read] = (results[read] ?? 0) + 1;
      expect(source.bytesRead, `byte ${at} ^ ${flip}`).toBeLessThanOrEqual(bytes.length + 65536);
    }
  }
  // Some flips refuse everything, some one bitmap, some nothing; never more than there is.
  expect(results[0]).toBeGreaterThan(500);
  expect(results[2]).toBeGreaterThan(500);
  expect(results).toHaveLength(4);
});

test("every length that the image is cut to gives a result or a typed error", () => {
  for (let length = 0; length < small.length; length++) tryAll(countingSource(small.subarray(0, length)));
});

test("a source that grows short while it is read is an error, not zeros", () => {
  const { index } = readAll(small);
  const cut = countingSource(small.subarray(0, new Patchable(small).tableAt("fine") + 8));
  expect(() => runSync(readQcow2Map(index, index.bitmaps[0]!), cut)).toThrow(
    expect.objectContaining({ code: "SHORT_READ" }),
  );
});

/** A file of zeros, of any length, with pieces in it: what is read of it is counted, not kept. */
function sparseSource(
  size: number,
  pieces: readonly { offset: number; bytes: Uint8Array }[],
): SyncByteSource & { bytesRead: number } {
  return {
    size,
    bytesRead: 0,
    readSync(offset, length) {
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
  const before = process.memoryUsage();
  const index = runSync(readQcow2Index(source.size), source);
  const after = process.memoryUsage();
  const used = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  expect(used).toBeLessThan(16 * 2 ** 20 + 4 * source.bytesRead);
  expect(index.bitmaps).toHaveLength(count);
  expect(index.bitmaps.every(({ problem }) => problem?.code === "DUPLICATE_NAME")).toBe(true);
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
  expect(() => runSync(readQcow2Map(index, index.bitmaps[0]!), source)).toThrow(
    expect.objectContaining({ code: "OVERLAP" }),
  );
});
