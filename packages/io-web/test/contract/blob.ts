// What a Blob promises its reader, in Node and in a page.
import { Bitmap, readBitmap } from "@qdb/format";
import { BlobSource, openQdb } from "@qdb/io-web";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../../format/test/contract/errors.ts";
import { readingContract } from "../../../format/test/contract/reading.ts";
import { fileAt, memoryHost } from "../../../format/test/support/memory-host.ts";
import { fileBytes } from "../support/file-bytes.ts";

const BYTES = Uint8Array.from({ length: 10_000 }, (_, at) => at * 7);

export function blobContract(): void {
  describe("openQdb", () =>
    readingContract({
      ...memoryHost((store) => store),
      open: (place, options) => openQdb(new Blob([fileAt(place).bytes as Uint8Array<ArrayBuffer>]), options),
      afterCommit: "old",
      canBeMissing: false,
    }));

  test("a File is a QDB file", async () => {
    const bits = Bitmap.clean({ size: 2n ** 30n, granularity: 512 });
    bits.mark({ offset: 512, length: 1024 });
    const file = await openQdb(new File([fileBytes({ bitmaps: [{ name: "a", bits }] })], "a.qdb"));
    expect([...(await readBitmap(file.bitmap("a"))).extents()]).toEqual([{ offset: 512n, length: 1024n }]);
  });

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
  });

  test.each([
    [9_999, 2],
    [-10, 5],
    [0, Number.NaN],
    [5, -1],
  ])("%i+%i is outside: SHORT_READ", async (offset, length) => {
    const source = new BlobSource(new Blob([BYTES]));
    expect((await errorOf(() => source.read(offset, length))).code).toBe("SHORT_READ");
    const ranges = [
      { offset: 0, length: 1 },
      { offset, length },
    ];
    expect((await errorOf(() => source.readMany(ranges))).code).toBe("SHORT_READ");
  });

  test("a Blob that gives fewer bytes than it has is SHORT_READ", async () => {
    const short = { size: 100, slice: () => ({ arrayBuffer: async () => new ArrayBuffer(3) }) } as unknown as Blob;
    expect((await errorOf(() => new BlobSource(short).read(0, 4))).code).toBe("SHORT_READ");
  });

  test("a closed source is not read", async () => {
    const source = new BlobSource(new Blob([BYTES]));
    source.close();
    expect((await errorOf(() => source.read(0, 1))).code).toBe("USAGE");
    expect((await errorOf(() => source.readMany([]))).code).toBe("USAGE");
  });
}
