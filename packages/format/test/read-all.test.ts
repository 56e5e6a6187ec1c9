import { createHash } from "node:crypto";
import { Bitmap, bytesSource, countAll, dumpQdb, extentsOfAll, type LoadedBitmap, QdbFile, readAll } from "@qdb/format";
import {
  type FileContents,
  FLAG,
  imageBytes,
  type Plan,
  type QdbJsonBitmap,
  readAllPlan,
  readIndex,
  run,
  runSync,
  type Sha256,
  writeImage,
} from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { fileContents, plainContents, utf8 } from "./support/contents.ts";
import { expectCode } from "./support/errors.ts";
import { fc, runs } from "./support/seed.ts";
import { badSector, bentSource, byHand, LateSource } from "./support/sources.ts";

const MIB = 2 ** 20;

const sha256 = (): Sha256 => {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
};

function bytesOf(contents: FileContents): Uint8Array {
  return imageBytes(writeImage(contents));
}

/** Opening and reading everything: what a reader of a whole file does. */
function* readFile(size: number, options: Parameters<typeof readAllPlan>[2] = {}): Plan<LoadedBitmap[]> {
  return yield* readAllPlan(yield* readIndex(size), {}, options);
}

/** Bits of so many bytes, none of whose clusters is all zeros or all ones. */
function mixed(bytes: number, value = 0x55): Bitmap {
  return Bitmap.fromBytes(new Uint8Array(bytes).fill(value), { size: BigInt(bytes) * 8n * 512n, granularity: 512 });
}

test.each([9, 16, 17, 21])(
  "clusters of 2^%i bytes: bitmaps that end in their middle are counted, listed, read and dumped",
  async (clusterBits) => {
    const bitmaps = [1, 77, 70_000, 140_000].map((bytes) => mixed(bytes));
    const file = await QdbFile.open(bytesSource(bytesOf(plainContents(bitmaps, { clusterBits }))), {
      digests: { sha256 },
    });
    const loaded = await readAll(file);
    const counted = await countAll(file);
    let runs = 0;
    const all = await extentsOfAll(file, () => {
      runs = 0;
      return (_, { count }) => {
        runs += count;
      };
    });
    expect(all.map((one) => one.findProblem())).toEqual(bitmaps.map(() => undefined));
    expect(runs).toBe((1 + 77 + 70_000 + 140_000) * 4);
    expect(counted.map(({ dirty }) => dirty?.bits)).toEqual(bitmaps.map((bits) => bits.count()));
    expect(loaded.map(({ bitmap }, at) => bitmap?.equals(bitmaps[at] ?? mixed(1)))).toEqual(bitmaps.map(() => true));
    let text = "";
    for await (const piece of dumpQdb(file)) text += piece;
    const hash = (bits: Bitmap): string => createHash("sha256").update(bits.toBytes()).digest("hex");
    expect(JSON.parse(text).bitmaps.map((form: QdbJsonBitmap) => form.bits_sha256)).toEqual(bitmaps.map(hash));
  },
);

describe("rounds", () => {
  test.each([1, 5, 300])("header, table, L1 areas, data: four for %i bitmaps", async (count) => {
    const bitmaps = Array.from({ length: count }, (_, at) => mixed(1200 + at, 1 + (at % 250)));
    const bytes = bytesOf(plainContents(bitmaps));
    const { rounds, result } = byHand(readFile(bytes.length), bytes);
    expect(rounds.map((round) => round.length)).toEqual([1, 1, count, count]);
    expect(result.map(({ bitmap }, at) => bitmap?.equals(bitmaps[at] ?? mixed(1)))).toEqual(
      new Array(count).fill(true),
    );
    const late = new LateSource(bytes);
    expect((await run(readFile(bytes.length), late)).length).toBe(count);
    expect(late.rounds).toHaveLength(4);
  });

  test("zeros and ones are not read: no data, no fourth round", () => {
    const shape = { size: 2n ** 40n, granularity: 65536 };
    const bytes = bytesOf(
      plainContents([Bitmap.clean(shape), Bitmap.dirty(shape), Bitmap.clean({ size: 0n, granularity: 512 })]),
    );
    const { rounds, result } = byHand(readFile(bytes.length), bytes);
    expect(rounds.map((round) => round.length)).toEqual([1, 1, 2]);
    expect(result.map(({ bitmap }) => bitmap?.count())).toEqual([0, 2 ** 24, 0]);
  });

  test("a file without bitmaps takes one", () => {
    const bytes = bytesOf(plainContents([]));
    expect(byHand(readFile(bytes.length), bytes)).toMatchObject({
      rounds: [[{ offset: 0, length: 4096 }]],
      result: [],
    });
  });

  test("more data than 16 MiB comes in rounds of at most that, each byte once", () => {
    const sizes = [20, 1, 1, 1, 9, 6, 3].map((size) => size * MIB);
    const bitmaps = sizes.map((size, at) => mixed(size, at + 1));
    const bytes = bytesOf(plainContents(bitmaps, { clusterBits: 16 }));
    const progress: number[] = [];
    const total = 41 * MIB * 8;
    const onProgress = (done: number, of: number): void => {
      expect(of).toBe(total);
      progress.push(done);
    };
    const { rounds, result } = byHand(readFile(bytes.length, { onProgress }), bytes);
    const data = rounds.slice(3);
    const lengths = data.map((round) => round.reduce((sum, { length }) => sum + length, 0));
    expect(Math.max(...lengths)).toBeLessThanOrEqual(16 * MIB);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(41 * MIB);
    expect(lengths[0]).toBe(16 * MIB);
    expect(data.length).toBeLessThanOrEqual(4);
    const starts = data
      .flat()
      .map(({ offset, length }) => [offset, offset + length] as const)
      .sort(([a], [b]) => a - b);
    for (const [at, [start]] of starts.entries()) expect(start).toBeGreaterThanOrEqual(starts[at - 1]?.[1] ?? 0);
    expect(result.map(({ bitmap }, at) => bitmap?.equals(bitmaps[at] ?? mixed(1)))).toEqual(sizes.map(() => true));
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(total);
    expect(progress.length).toBe(data.length);
  });
});

describe("one bad bitmap does not take the others with it", () => {
  const bitmaps = [mixed(3000, 1), mixed(3000, 2), mixed(3000, 4)];
  const bytes = bytesOf(plainContents(bitmaps));
  /** The first byte of the second bitmap's data, and of its L1 area. */
  const data = bytes.indexOf(2, 8192 + 512 + 512 * 7 + 512);
  const good = (result: readonly LoadedBitmap[]): unknown[] =>
    result.map(({ bitmap, problem }, at) => bitmap?.equals(bitmaps[at] ?? mixed(1)) ?? problem?.code);

  test("a cluster that does not match its checksum", () => {
    const bent = bytes.slice();
    expect(bent[data]).toBe(2);
    bent[data] = 0;
    const result = runSync(readFile(bent.length), bytesSource(bent));
    expect(good(result)).toEqual([true, "BAD_CHECKSUM", true]);
    expect(result[1]?.problem?.where).toMatchObject({ bitmap: "b1", structure: "data cluster" });
  });

  test("a cluster that cannot be read", async () => {
    const result = runSync(readFile(bytes.length), bentSource(bytes, badSector(data + 600, 1)));
    expect(good(result)).toEqual([true, "IO", true]);
    expect(result[1]?.problem?.where).toMatchObject({ bitmap: "b1", structure: "data cluster" });
    const again = await run(readFile(bytes.length), bentSource(bytes, badSector(data + 600, 1)));
    expect(good(again)).toEqual([true, "IO", true]);
  });

  test("an L1 area that cannot be read", () => {
    const area = new DataView(bytes.buffer).getBigUint64(8192 + 48);
    const result = runSync(readFile(bytes.length), bentSource(bytes, badSector(Number(area), 1)));
    expect(good(result)).toEqual([true, "IO", true]);
  });

  test("a bitmap whose bits only its collector knows is not read at all", () => {
    const contents = plainContents(bitmaps);
    const inUse = bytesOf({
      ...contents,
      bitmaps: contents.bitmaps.map((bitmap, at) => ({ ...bitmap, flags: at === 1 ? FLAG.in_use : 0 })),
    });
    const { rounds, result } = byHand(readFile(inUse.length), inUse);
    expect(good(result)).toEqual([true, "INCONSISTENT", true]);
    expect(rounds.map((round) => round.length)).toEqual([1, 1, 3, 2]);
  });

  test("what is left of a bad bitmap is not read, where it takes more rounds", () => {
    const large = bytesOf(plainContents([mixed(40 * MIB, 7), mixed(100, 9)], { clusterBits: 16 }));
    const bent = large.slice();
    const first = bent.indexOf(7, 4 * 65536);
    bent[first] = 0;
    const { rounds, result } = byHand(readFile(bent.length), bent);
    expect(result.map(({ bitmap, problem }) => bitmap?.count() ?? problem?.code)).toEqual(["BAD_CHECKSUM", 200]);
    const read = rounds.flat().reduce((sum, { length }) => sum + length, 0);
    expect(read).toBeLessThan(34 * MIB);
  });
});

test("bits that take more memory than the caller allows are LIMIT before any data is read", () => {
  const bytes = bytesOf(plainContents([mixed(1000), mixed(1001)]));
  expect(runSync(readFile(bytes.length, { maxBitmapBytes: 2001 }), bytesSource(bytes))).toHaveLength(2);
  const error = expectCode("LIMIT", () => byHand(readFile(bytes.length, { maxBitmapBytes: 2000 }), bytes));
  expect(error.message).toMatch(/2001 bytes.*maxBitmapBytes/);
  // A small file can announce far more bits than there is memory.
  const ones = Bitmap.dirty({ size: 2n ** 22n * 512n, granularity: 512 });
  const many = Array.from({ length: 40 }, (_, at) => ({
    nameBytes: utf8(`${at}`),
    flags: 0,
    extraData: [],
    bits: ones,
  }));
  const hostile = bytesOf(plainContents([], { clusterBits: 16, bitmaps: many }));
  expect(hostile.length).toBeLessThan(4 * MIB);
  expectCode("LIMIT", () => runSync(readFile(hostile.length, { maxBitmapBytes: 16 * MIB }), bytesSource(hostile)));
});

test("any file: every bitmap has its bits or its problem, never both, never neither", () => {
  fc.assert(
    fc.property(fileContents, (contents) => {
      const bytes = bytesOf(contents);
      const { rounds, result } = byHand(readFile(bytes.length), bytes);
      expect(rounds.length).toBeLessThanOrEqual(4);
      expect(result.map(({ entry }) => entry.index)).toEqual(contents.bitmaps.map((_, at) => at));
      result.forEach(({ bitmap, problem }, at) => {
        expect((bitmap === undefined) !== (problem === undefined)).toBe(true);
        const given = contents.bitmaps[at];
        if (bitmap !== undefined && given !== undefined) expect(bitmap.equals(given.bits)).toBe(true);
      });
    }),
    runs(60),
  );
});
