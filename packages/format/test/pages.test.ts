// A page of extents: who takes the first thousand from some offset on pays for these, not for all that follow.
import { bytesSource, QdbFile, type StoredBitmap } from "@qdb/format";
import { describe, expect, test } from "vitest";
import { file, type HandCluster, rep } from "./hand.ts";
import { ZLIB } from "./store.ts";

const CLUSTER = 65536;
/** Every second bit of 2^24 is dirty: 8 million extents. */
const DENSE = Array.from({ length: 32 }, (): HandCluster => rep(0x55, CLUSTER));
/** The first bit of every 64 of 2^29: 8 million extents in 64 MiB. */
const SPARSE = Array.from(
  { length: 1024 },
  (): HandCluster => rep(1, CLUSTER).map((one, at) => (at % 8 === 0 ? one : 0)),
);

const COUNT = 2 ** 23;
const PAGE = 1000;

async function open(clusters: readonly HandCluster[]) {
  const size = BigInt(clusters.length * CLUSTER * 8) * 512n;
  const bytes = file({ clusterBits: 16, bitmaps: [{ name: "a", size, granularity: 512, clusters }] });
  const memory = bytesSource(bytes);
  const read = { bytes: 0 };
  const source = {
    size: memory.size,
    readSync(offset: number, length: number): Uint8Array {
      read.bytes += length;
      return memory.readSync(offset, length);
    },
  };
  const opened = await QdbFile.open(source, { digests: ZLIB });
  return { bitmap: opened.bitmap("a"), read };
}

async function page(bitmap: StoredBitmap, offset: bigint): Promise<{ offset: bigint; length: bigint }[]> {
  const extents = [];
  for await (const extent of bitmap.extents({ within: { offset, length: bitmap.size - offset } })) {
    extents.push(extent);
    if (extents.length === PAGE) break;
  }
  return extents;
}

describe.each([
  ["dense", DENSE, 2n],
  ["sparse", SPARSE, 64n],
] as const)("of 8 million %s extents", (_, clusters, distance) => {
  test("costs less than 3 ms, and reads 1 MiB of bits at most", async () => {
    const { bitmap, read } = await open(clusters);
    const times: number[] = [];
    for (let turn = 0; turn < 60; turn++) {
      const first = BigInt(turn) * 131_072n * distance;
      const before = read.bytes;
      const start = performance.now();
      const extents = await page(bitmap, first * 512n);
      times.push(performance.now() - start);
      expect(extents[0]).toEqual({ offset: first * 512n, length: 512n });
      expect(extents.at(-1)).toEqual({ offset: (first + 999n * distance) * 512n, length: 512n });
      // One window more than is held back, the header area, and the L1 area once.
      expect(read.bytes - before).toBeLessThanOrEqual(1024 * 1024 + 256 * 1024 + 4096 + clusters.length * 12);
    }
    // The least time is taken: other programs of the machine make the others longer.
    expect(Math.min(...times)).toBeLessThan(3);
  });

  test("pages one after the other are all of its extents", async () => {
    const { bitmap } = await open(clusters);
    let at = 0n;
    for (let turn = 0; turn < 5; turn++) {
      const extents = await page(bitmap, at);
      expect(extents).toHaveLength(PAGE);
      expect(extents[0]?.offset).toBe(BigInt(turn) * 1000n * distance * 512n);
      at = (extents.at(-1)?.offset ?? 0n) + 512n * distance;
    }
    let count = 0;
    for await (const batch of bitmap.batches()) count += batch.count;
    expect(count).toBe(COUNT);
  });
});

test("the L1 area is read once for many pages, and again after a commit", async () => {
  const size = BigInt(64 * CLUSTER * 8) * 512n;
  const state = (generation: bigint, clusters: HandCluster[]): Uint8Array =>
    file({ clusterBits: 16, header: { generation }, bitmaps: [{ name: "a", size, granularity: 512, clusters }] });
  const clean = Array.from({ length: 64 }, (): HandCluster => "zeros");
  let bytes = state(1n, [...clean.slice(1), rep(0xff, CLUSTER)]);
  const reads: number[] = [];
  const source = {
    size: bytes.length,
    readSync(offset: number, length: number): Uint8Array {
      reads.push(length);
      return bytes.slice(offset, offset + length);
    },
  };
  const bitmap = (await QdbFile.open(source, { digests: ZLIB })).bitmap("a");
  const areas = (): number => reads.filter((length) => length === 64 * 12).length;
  for (let turn = 1; turn <= 3; turn++) expect((await bitmap.count()).bits).toBe(CLUSTER * 8);
  expect(areas()).toBe(1);
  bytes = state(2n, [rep(1, CLUSTER), ...clean.slice(1)]);
  for (let turn = 1; turn <= 3; turn++) expect((await bitmap.count()).bits).toBe(CLUSTER);
  expect(areas()).toBe(2);
});
