// What a repair stores for damaged bitmaps, compared with a model: clusters with bad checksums, bits behind the end, L1 areas that
// take several pieces, with and without all-ones clusters.
import { crc32 } from "node:zlib";
import { type Bitmap, bytesSource } from "@qdb/format";
import { bitmapPlan, loadMaps, readIndex, runSync } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { file, type HandBitmap, type HandCluster } from "./hand.ts";
import { check } from "./reading.ts";
import { MemoryStore, openEditor, random, ZLIB } from "./store.ts";

/** The bits of all bitmaps of a file, by name. All of them must be good. */
function bitsOf(bytes: Uint8Array): Map<string, Bitmap> {
  const source = bytesSource(bytes);
  const index = runSync(readIndex(bytes.length, ZLIB), source);
  const mapped = runSync(loadMaps(index, index.table.entries, ZLIB), source);
  return new Map(
    mapped.map((one) => {
      const { label } = one.entry;
      const { map } = one;
      expect({ label, problem: one.findProblem() }).toEqual({ label, problem: undefined });
      if (map === undefined) throw new Error("no map");
      return [label, runSync(bitmapPlan(map), source)];
    }),
  );
}

interface Made {
  readonly bitmap: HandBitmap;
  /** For each bit, whether it must be dirty after the repair. */
  readonly dirty: readonly boolean[];
}

/** A bitmap of random clusters, some of which do not match their checksums, and perhaps a tail that is not zero. */
function made(random: () => number, name: string, clusterSize: number, allOnes: boolean): Made {
  const below = (end: number): number => Math.floor(random() * end);
  const count = 1 + below(6);
  const per = clusterSize * 8;
  const bits = (count - 1) * per + 1 + below(per);
  const dirty: boolean[] = [];
  const clusters = Array.from({ length: count }, (_, at): HandCluster => {
    const own = Math.min(per, bits - at * per);
    const kind = below(allOnes ? 6 : 5);
    const push = (bit: (n: number) => boolean): void => {
      for (let n = 0; n < own; n++) dirty.push(bit(n));
    };
    if (kind === 0 || kind === 5) {
      push(() => kind === 5);
      return kind === 0 ? "zeros" : "ones";
    }
    const data = new Uint8Array(clusterSize);
    const set = (n: number): void => {
      data[n >> 3] = (data[n >> 3] ?? 0) | (1 << (n % 8));
    };
    // Single bits, none, or all: after trimming, a cluster can be uniform.
    const share = [0.1, 0, 1][below(3)] ?? 0;
    for (let n = 0; n < own; n++) if (random() < share) set(n);
    if (kind === 1) {
      push(() => true);
      return { data, crc: (crc32(data) ^ 1) >>> 0 };
    }
    const good = data.slice();
    push((n) => ((good[n >> 3] ?? 0) & (1 << (n % 8))) !== 0);
    if (own < per && kind === 2) set(own + below(per - own));
    return data;
  });
  return { bitmap: { name, size: BigInt(bits) * 512n, granularity: 512, clusters }, dirty };
}

describe.each([true, false])("all-ones clusters: %s", (allOnes) => {
  const header = { incompatible: allOnes ? 1n : 0n };

  test.each([9, 10, 12, 13])(
    "clusters of 2^%i bytes: bad ones become dirty, tails zero, and all else stays",
    async (clusterBits) => {
      const next = random(clusterBits + (allOnes ? 100 : 0));
      for (let round = 0; round < 40; round++) {
        const all = Array.from({ length: 3 }, (_, at) => made(next, `b${at}`, 2 ** clusterBits, allOnes));
        const store = new MemoryStore(file({ clusterBits, header, bitmaps: all.map(({ bitmap }) => bitmap) }));
        const { after } = await (await openEditor(store, { repair: true })).repair();
        expect(after).toEqual([]);
        expect(check(store.bytes).findings).toEqual([]);
        for (const [name, bits] of bitsOf(store.bytes)) {
          const { dirty = [] } = all.find(({ bitmap }) => bitmap.name === name) ?? {};
          expect(bits.bitCount).toBe(dirty.length);
          expect(dirty.findIndex((is, bit) => is !== bits.isDirty(bit))).toBe(-1);
        }
        const again = await (await openEditor(new MemoryStore(store.bytes), { repair: true })).repair();
        expect(again.written).toBe(false);
      }
    },
  );

  // 2^25 bits in clusters of 512 bytes: entries and checksums take more than one piece each of 256 KiB.
  test.each([1n, 4096n, 2n ** 20n, 2n ** 25n, 2n ** 25n + 1n, 2n ** 25n + 4095n, 0n])(
    "a damaged L1 area of %i bits: all dirty, not a bit more",
    async (bits) => {
      const clusters = new Array<HandCluster>(Math.ceil(Math.ceil(Number(bits) / 8) / 512)).fill("zeros");
      const damaged = { name: "d", size: bits * 512n, granularity: 512, clusters, l1Checksum: 7, padding: 1 };
      const good: HandBitmap = {
        name: "good",
        size: 4096n * 512n,
        granularity: 512,
        clusters: [new Uint8Array(512).fill(5)],
      };
      const store = new MemoryStore(file({ header, bitmaps: [damaged, good] }));
      const { after } = await (await openEditor(store, { repair: true })).repair();
      expect(after).toEqual([]);
      expect(check(store.bytes).findings).toEqual([]);
      const found = bitsOf(store.bytes);
      expect([found.get("d")?.bitCount, found.get("d")?.count()]).toEqual([Number(bits), Number(bits)]);
      expect(found.get("good")?.count()).toBe(1024);
      // A cluster of ones is stored only in a file without all-ones clusters.
      expect(store.bytes.length > Number(bits) / 8).toBe(!allOnes || bits < 2n ** 20n || bits === 0n);
    },
  );

  test("a change of a bitmap after its repair in the same handle", async () => {
    const clusters: HandCluster[] = [
      new Uint8Array(512).fill(1),
      { data: new Uint8Array(512).fill(2), crc: 1 },
      "zeros",
    ];
    const bitmap = { name: "b", size: 3n * 4096n * 512n, granularity: 512, clusters };
    const store = new MemoryStore(file({ header, bitmaps: [bitmap] }));
    const editor = await openEditor(store, { repair: true });
    await editor.repair();
    await editor.change("b", (bits) => (bits.mark({ offset: 2n * 4096n * 512n, length: 512 }), bits));
    await editor.commit();
    const found = bitsOf(store.bytes).get("b");
    expect([found?.count(), found?.isDirty(2 * 4096)]).toEqual([512 + 4096 + 1, true]);
  });
});

test("more than may be stored: refused before anything is written", async () => {
  const clusters = new Array<HandCluster>(8).fill("zeros");
  const damaged = { size: 8n * 4096n * 512n, granularity: 512, clusters, l1Checksum: 7 };
  const bytes = file({ header: { incompatible: 0n }, bitmaps: ["a", "b"].map((name) => ({ ...damaged, name })) });
  // For each bitmap one block for the L1 area, and eight clusters.
  const needed = 2 * (4096 + 8 * 512);
  const store = new MemoryStore(bytes);
  const refused = await openEditor(store, { repair: true, maxRepairBytes: needed - 1 });
  await expect(refused.repair()).rejects.toMatchObject({
    code: "LIMIT",
    message: expect.stringContaining(`${needed} bytes`),
  });
  expect(store.changes).toEqual([]);
  expect((await (await openEditor(store, { repair: true, maxRepairBytes: needed })).repair()).after).toEqual([]);
});
