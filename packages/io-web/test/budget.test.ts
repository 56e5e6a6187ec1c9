// What reading a file behind HTTP costs, counted at the server.
import type { IncomingMessage } from "node:http";
import { Bitmap, checkQdb, readBitmap } from "@qdb/format";
import { openHttpSource, openQdb } from "@qdb/io-web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileBytes } from "./support/file-bytes.ts";
import { type RangeServer, rangeServer } from "./support/range-server.ts";

let server: RangeServer;
beforeAll(async () => {
  server = await rangeServer();
});
afterAll(() => server.close());

const GIB = 2n ** 30n;

test("listing the bitmaps of a table of 32 KiB takes at most 3 requests and 64 KiB", async () => {
  const name = (at: number) => `bitmap ${at} ${"x".repeat(75)}`;
  const bitmaps = Array.from({ length: 185 }, (_, at) => ({ name: name(at), size: GIB }));
  const bytes = fileBytes({ bitmaps });
  const { url, served } = server.serve("many", { bytes });
  const file = await openQdb(url);
  expect(file.bitmaps.map((bitmap) => bitmap.name)).toEqual(bitmaps.map((bitmap) => bitmap.name));
  expect(file.index.header.bitmapsSize).toBeGreaterThan(30 * 1024);
  expect(file.index.header.bitmapsSize).toBeLessThanOrEqual(32 * 1024);
  console.log(`listing: ${served.requests} requests, ${served.sent} bytes`);
  expect(served.requests).toBeLessThanOrEqual(3);
  expect(served.sent).toBeLessThanOrEqual(64 * 1024);
});

test("the dirty extents of a disk of 100 GiB take at most 6 requests and 1.2 times the stored bits and 64 KiB", async () => {
  const size = 100n * GIB;
  const bits = Bitmap.clean({ size, granularity: 65536 });
  for (let at = 0; at < 100 * 2 ** 30; at += 3 * 65536) bits.mark({ offset: at, length: 65536 });
  for (const clusterSize of [4096, 65536]) {
    const bytes = fileBytes({ clusterSize, bitmaps: [{ name: "daily", bits }] });
    const { url, served } = server.serve(`large ${clusterSize}`, { bytes });
    const file = await openQdb(url);
    let dirty = 0n;
    for await (const { length } of file.bitmap("daily").extents()) dirty += length;
    expect(dirty).toBe(bits.dirtyBytes());
    const stored = (100 * 2 ** 30) / 65536 / 8;
    console.log(`extents, clusters of ${clusterSize}: ${served.requests} requests, ${served.sent} bytes of ${stored}`);
    expect(served.requests).toBeLessThanOrEqual(6);
    expect(served.sent).toBeLessThanOrEqual(1.2 * stored + 64 * 1024);
    expect(served.methods.every((method) => method === "GET")).toBe(true);
  }
});

test("a check reads the header once before all else, and once more at the end if the file can change", async () => {
  const bits = Bitmap.clean({ size: GIB, granularity: 512 });
  bits.mark({ offset: 512, length: 512 });
  const bytes = fileBytes({ bitmaps: [{ name: "a", bits }] });
  for (const [etag, expected] of [
    ['"strong"', 1],
    ['W/"weak"', 2],
  ] as const) {
    const ranges: string[] = [];
    const answer = ({ headers }: IncomingMessage): boolean => {
      ranges.push(headers.range ?? "");
      return false;
    };
    const { url } = server.serve("checked", { bytes, headers: { ETag: etag }, answer });
    const source = await openHttpSource(url, { cacheBytes: 0 });
    // Opening asks for the first bytes, of which it keeps nothing here.
    ranges.length = 0;
    const codes: string[] = [];
    for await (const { code } of checkQdb(source)) codes.push(code);
    expect(codes).toEqual([]);
    expect(ranges.filter((range) => range.startsWith("bytes=0-"))).toHaveLength(expected);
  }
});

test("a commit at the server between two requests is SOURCE_CHANGED, or the new state", async () => {
  const at = (dirty: number) => {
    const bits = Bitmap.clean({ size: GIB, granularity: 512 });
    bits.mark({ offset: dirty * 512, length: 512 });
    return fileBytes({ bitmaps: [{ name: "a", bits }] });
  };
  const [before, after] = [at(1), at(2)];
  for (const etag of ['"strong"', 'W/"weak"']) {
    const { url, served } = server.serve("changing", { bytes: before, headers: { ETag: etag } });
    const file = await openQdb(url, { cacheBytes: 0 });
    served.bytes = after;
    served.headers.ETag = etag === '"strong"' ? '"other"' : etag;
    // Without a strong ETag, the reader finds the commit by the header.
    const reading = readBitmap(file.bitmap("a"));
    if (etag === '"strong"') await expect(reading).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    else expect((await reading).nextDirty()).toBe(2);
  }
});
