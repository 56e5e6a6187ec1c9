// Blobs and Files in a page.
import { Bitmap } from "@qdb/format";
import { imageBytes, newFile, writeImage } from "@qdb/format/container";
import { BlobSource, openQdb } from "@qdb/io-web";
import { expect, test } from "vitest";

const BYTES = Uint8Array.from({ length: 10_000 }, (_, at) => at * 7);

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
  await expect(new BlobSource(new Blob([BYTES])).read(offset, length)).rejects.toMatchObject({ code: "SHORT_READ" });
});

test("a File is a QDB file", async () => {
  const bits = Bitmap.clean({ size: 2n ** 30n, granularity: 512 });
  bits.mark({ offset: 512, length: 1024 });
  const contents = newFile(
    { bitmaps: [{ name: "a", bits }] },
    { randomId: () => crypto.getRandomValues(new Uint8Array(16)) },
  );
  const bytes = imageBytes(writeImage(contents)) as Uint8Array<ArrayBuffer>;
  const file = await openQdb(new File([bytes], "a.qdb"));
  const found: [bigint, bigint][] = [];
  for await (const { offset, length } of file.bitmap("a").extents()) found.push([offset, length]);
  expect(found).toEqual([[512n, 1024n]]);
});
