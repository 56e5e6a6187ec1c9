import { mkdtempSync, openAsBlob, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bitmap, readBitmap } from "@qdb/format";
import { imageBytes, newFile, writeImage } from "@qdb/format/container";
import { BlobSource, openQdb } from "@qdb/io-web";
import { expect, test } from "vitest";

const BYTES = Uint8Array.from({ length: 10_000 }, (_, at) => at * 7);
const randomId = () => crypto.getRandomValues(new Uint8Array(16));

test("reads are exact", async () => {
  const source = new BlobSource(new Blob([BYTES]));
  expect(source.size).toBe(10_000);
  expect(await source.read(1000, 50)).toEqual(BYTES.slice(1000, 1050));
  expect(await source.read(10_000, 0)).toEqual(new Uint8Array(0));
  const ranges = [
    { offset: 9_000, length: 1000 },
    { offset: 0, length: 0 },
    { offset: 5, length: 1 },
    { offset: 9_100, length: 10 },
  ];
  expect(await source.readMany(ranges)).toEqual(
    ranges.map(({ offset, length }) => BYTES.slice(offset, offset + length)),
  );
  await expect(
    source.readMany([
      { offset: 0, length: 1 },
      { offset: 9_999, length: 2 },
    ]),
  ).rejects.toMatchObject({
    code: "SHORT_READ",
  });
});

test.each([
  [9_999, 2],
  [-10, 5],
  [0, Number.NaN],
  [5, -1],
])("%i+%i is outside: SHORT_READ", async (offset, length) => {
  const source = new BlobSource(new Blob([BYTES]));
  await expect(source.read(offset, length)).rejects.toMatchObject({ code: "SHORT_READ" });
});

test("a Blob that gives fewer bytes than it has is SHORT_READ", async () => {
  const short = { size: 100, slice: () => ({ arrayBuffer: async () => new ArrayBuffer(3) }) } as unknown as Blob;
  await expect(new BlobSource(short).read(0, 4)).rejects.toMatchObject({ code: "SHORT_READ" });
});

test("a closed source is not read", async () => {
  const source = new BlobSource(new Blob([BYTES]));
  source.close();
  await expect(source.read(0, 1)).rejects.toMatchObject({ code: "USAGE" });
});

test("a file that is changed while it is open is an error", async () => {
  const folder = mkdtempSync(join(tmpdir(), "io-web-"));
  try {
    const path = join(folder, "a.qdb");
    const bits = Bitmap.clean({ size: 2n ** 30n, granularity: 512 });
    bits.mark({ offset: 512, length: 512 });
    writeFileSync(path, imageBytes(writeImage(newFile({ bitmaps: [{ name: "a", bits }] }, { randomId }))));
    const file = await openQdb(await openAsBlob(path));
    expect((await readBitmap(file.bitmap("a"))).nextDirty()).toBe(1);
    writeFileSync(path, "other");
    await expect(readBitmap(file.bitmap("a"))).rejects.toMatchObject({
      code: "IO",
      message: expect.stringMatching(/changed or removed/),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
