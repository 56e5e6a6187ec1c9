import { execFileSync } from "node:child_process";
import { Bitmap, type BitmapShape, ExtentBatch } from "@qdb/format";
import { bitsInward, bitsOfShape, bitsOutward, bytesOfBits } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { expectCode } from "./support/errors.ts";
import { bitmapOf, dirtyOf, models, runsOf } from "./support/model.ts";
import { fc, runs } from "./support/seed.ts";

const SMALL: BitmapShape = { size: 10_000n, granularity: 512 };

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

describe("bytes, least significant bit first", () => {
  test.each<[string, number, number[]]>([
    ["01", 1, [0]],
    ["80", 8, [7]],
    ["00 01", 9, [8]],
    ["05 80 10", 21, [0, 2, 15, 20]],
    ["00 00 00 80 01", 33, [31, 32]],
    ["ff 0f", 12, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
  ])("%s in %i bits is %j", (text, bits, dirty) => {
    const shape = { size: BigInt(bits) * 512n, granularity: 512 };
    const bitmap = Bitmap.fromBytes(hex(text), shape);
    expect([...dirtyOf(bitmap)]).toEqual(dirty);
    expect(bitmap.toBytes()).toEqual(hex(text));
  });

  test("bits behind the last one are not looked at, and never come out", () => {
    const bitmap = Bitmap.fromBytes(hex("ff ff"), { size: 9n * 512n, granularity: 512 });
    expect(bitmap.count()).toBe(9);
    expect(bitmap.toBytes()).toEqual(hex("ff 01"));
    expect(bitmap.bytesAt(0, 5)).toEqual(hex("ff 01 00 00 00"));
    bitmap.invert();
    expect(bitmap.count()).toBe(0);
  });

  test("bytesAt is zero behind the last bit, wherever it begins", () => {
    const bitmap = Bitmap.dirty({ size: 40n * 512n, granularity: 512 });
    expect(bitmap.bytesAt(4, 4)).toEqual(hex("ff 00 00 00"));
    expect(bitmap.bytesAt(7, 3)).toEqual(hex("00 00 00"));
    expect(bitmap.bytesAt(8, 2)).toEqual(hex("00 00"));
    expect(bitmap.bytesAt(4096, 2)).toEqual(hex("00 00"));
  });

  test("bytes that come and go are copies", () => {
    const given = hex("01");
    const bitmap = Bitmap.fromBytes(given, { size: 512n, granularity: 512 });
    given[0] = 0;
    bitmap.toBytes().fill(0);
    expect(bitmap.count()).toBe(1);
    const copy = bitmap.clone();
    copy.invert();
    expect([bitmap.count(), copy.count()]).toEqual([1, 0]);
  });

  test("another number of bytes is SIZE_MISMATCH", () => {
    expectCode("SIZE_MISMATCH", () => Bitmap.fromBytes(hex("00 00"), SMALL));
    expectCode("SIZE_MISMATCH", () => Bitmap.fromBytes(hex("00 00 00 00"), SMALL));
    expectCode("SIZE_MISMATCH", () => Bitmap.fromBytes(hex("00"), { size: 0n, granularity: 512 }));
  });

  test("Python reads the same bits out of them", () => {
    const sample = fc.sample(models, { seed: 7, numRuns: 50 }).map((model) => ({ model, bitmap: bitmapOf(model) }));
    const script = [
      "import json, sys",
      "out = []",
      "for bits, text in json.load(sys.stdin):",
      "    value = int.from_bytes(bytes.fromhex(text), 'little')",
      "    out.append([n for n in range(bits) if value >> n & 1])",
      "json.dump(out, sys.stdout)",
    ].join("\n");
    const input = JSON.stringify(
      sample.map(({ bitmap }) => [bitmap.bitCount, Buffer.from(bitmap.toBytes()).toString("hex")]),
    );
    const output: unknown = JSON.parse(execFileSync("python3", ["-c", script], { input, encoding: "utf8" }));
    expect(output).toEqual(sample.map(({ model }) => [...model.dirty].sort((a, b) => a - b)));
    expect(sample.some(({ model }) => model.dirty.size > 20)).toBe(true);
  });
});

describe("shapes", () => {
  test.each<[string, bigint, number]>([
    ["granularity below 512", 1000n, 256],
    ["granularity above 2^31", 1000n, 2 ** 32],
    ["granularity no power of two", 1000n, 1536],
    ["granularity 0", 1000n, 0],
    ["granularity negative", 1000n, -512],
    ["granularity with a fraction", 1000n, 512.5],
    ["granularity no number", 1000n, Number.NaN],
    ["granularity infinite", 1000n, Number.POSITIVE_INFINITY],
    ["size negative", -1n, 512],
    ["size 2^63", 2n ** 63n, 2 ** 31],
  ])("%s is USAGE", (_, size, granularity) => {
    expectCode("USAGE", () => bitsOfShape({ size, granularity }));
    expectCode("USAGE", () => Bitmap.clean({ size, granularity }));
    expectCode("USAGE", () => Bitmap.fromBytes(new Uint8Array(1), { size, granularity }));
  });

  test("2^32 bits are a shape, one byte more of disk is LIMIT", () => {
    const most = 2n ** 32n * 512n;
    expect(bitsOfShape({ size: most, granularity: 512 })).toBe(2 ** 32);
    expectCode("LIMIT", () => bitsOfShape({ size: most + 1n, granularity: 512 }));
    expectCode("LIMIT", () => Bitmap.clean({ size: most + 1n, granularity: 512 }));
    expectCode("LIMIT", () => Bitmap.clean({ size: 2n ** 63n - 1n, granularity: 512 }));
    expectCode("LIMIT", () => Bitmap.clean(SMALL).resize(most + 1n));
    const coarse = Bitmap.clean({ size: most + 1n, granularity: 2 ** 31 });
    expectCode("LIMIT", () => coarse.regranulate(512));
    expectCode("USAGE", () => coarse.regranulate(700));
    expect(bitsOfShape({ size: 2n ** 63n - 1n, granularity: 2 ** 31 })).toBe(2 ** 32);
  });

  test("a disk of nothing has no bits", () => {
    const bitmap = Bitmap.dirty({ size: 0n, granularity: 65536 });
    expect([bitmap.bitCount, bitmap.count(), bitmap.nextDirty(), bitmap.nextClean()]).toEqual([0, 0, -1, -1]);
    expect(bitmap.dirtyBytes()).toBe(0n);
    expect(bitmap.toBytes()).toEqual(new Uint8Array(0));
    expect([...bitmap.batches()]).toEqual([]);
    bitmap.invert();
    bitmap.mark({ offset: 0, length: 0 });
    bitmap.unmark({ offset: 0n, length: 0n });
    expect(bitmap.count()).toBe(0);
    expect(bitmap.resize(513n).count()).toBe(1);
    expect(bitmap.resize(513n, { newArea: "clean" }).count()).toBe(0);
  });
});

describe("ranges that are refused", () => {
  const bad: [string, { offset: number | bigint; length: number | bigint }][] = [
    ["past the end", { offset: 9_999, length: 2 }],
    ["from behind the end", { offset: 10_001n, length: 0n }],
    ["negative offset", { offset: -1, length: 1 }],
    ["negative length", { offset: 5n, length: -1n }],
    ["a fraction", { offset: 0.5, length: 1 }],
    ["a length with a fraction", { offset: 0, length: 1.5 }],
    ["not a number", { offset: Number.NaN, length: 1 }],
    ["infinite", { offset: 0, length: Number.POSITIVE_INFINITY }],
    ["a number that was rounded", { offset: 2 ** 53, length: 1 }],
  ];
  test.each(bad)("%s is USAGE, and nothing changes", (_, range) => {
    const bitmap = Bitmap.dirty(SMALL);
    expectCode("USAGE", () => bitmap.unmark(range));
    expect(bitmap.count()).toBe(bitmap.bitCount);
    const clean = Bitmap.clean(SMALL);
    expectCode("USAGE", () => clean.mark(range));
    expect(clean.count()).toBe(0);
    expectCode("USAGE", () => [...clean.batches({ within: range })]);
    expectCode("USAGE", () => bitsOutward(range, SMALL));
    expectCode("USAGE", () => bitsInward(range, SMALL));
  });

  test.each<[number, number]>([
    [-1, 1],
    [0, 21],
    [5, 4],
    [Number.NaN, 3],
    [0, Number.NaN],
    // Half a bit that is not marked would be dirt that is lost.
    [0.5, 1.5],
    [0, 0.5],
  ])("markBits from %d to %d is USAGE", (first, end) => {
    const bitmap = Bitmap.clean(SMALL);
    expectCode("USAGE", () => bitmap.markBits({ first, end }));
    expect(bitmap.count()).toBe(0);
  });

  test("isDirty is false where there is no bit", () => {
    const bitmap = Bitmap.dirty(SMALL);
    expect([-1, 0, 19, 20, 31, 32, 2 ** 32].map((bit) => bitmap.isDirty(bit))).toEqual([
      false,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe("extent batches", () => {
  test("bytes are exact on a disk that ends past 2^53, and numbers are refused there", () => {
    const size = 2n ** 54n + 12_345n;
    const shape = { size, granularity: 2 ** 31 };
    const bitmap = Bitmap.clean({ size, granularity: 2 ** 31 });
    const last = bitmap.bitCount - 1;
    expect(last).toBe(2 ** 23);
    bitmap.markBits({ first: 0, end: 1 });
    bitmap.markBits({ first: last - 2, end: last + 1 });
    const [batch, ...more] = [...bitmap.batches()];
    expect(more).toEqual([]);
    expect([...(batch?.runs ?? [])]).toEqual([0, 0, last - 2, last]);
    expect([...(batch?.rangesBig() ?? [])]).toEqual([
      { offset: 0n, length: 2n ** 31n },
      { offset: 2n ** 54n - 2n ** 32n, length: 2n ** 32n + 12_345n },
    ]);
    expect(() => [...(batch?.ranges() ?? [])]).toThrow(/rangesBig/);
    expect(bitmap.dirtyBytes()).toBe(2n ** 31n + 2n ** 32n + 12_345n);
    expect(bytesOfBits({ first: last, end: last + 1 }, shape)).toEqual({ offset: 2n ** 54n, length: 12_345n });
    const odd = 2n ** 53n + 1n;
    bitmap.mark({ offset: odd, length: 1n });
    const within = { offset: odd, length: 3n };
    expect([...bitmap.batches({ within })].flatMap((one) => [...one.rangesBig()])).toEqual([within]);
    bitmap.unmark({ offset: 2n ** 54n, length: 12_345n });
    expect(bitmap.isDirty(last)).toBe(false);
    bitmap.mark({ offset: size - 1n, length: 1 });
    expect(bitmap.isDirty(last)).toBe(true);
  });

  test("numbers go up to the last disk that they hold", () => {
    const size = BigInt(Number.MAX_SAFE_INTEGER);
    const bitmap = Bitmap.clean({ size, granularity: 2 ** 31 });
    bitmap.mark({ offset: Number.MAX_SAFE_INTEGER - 1, length: 1 });
    const [range] = [...bitmap.batches()].flatMap((batch) => [...batch.ranges()]);
    expect(range).toEqual({ offset: 2 ** 53 - 2 ** 31, length: 2 ** 31 - 1 });
  });

  test("a batch says how many runs it has", () => {
    const batch = new ExtentBatch(SMALL, Uint32Array.of(0, 3, 19, 19));
    expect(batch.count).toBe(2);
    expect([...batch.ranges()]).toEqual([
      { offset: 0, length: 2048 },
      { offset: 9728, length: 272 },
    ]);
  });

  test("many runs come in many batches, and runs go on over the edges of what is listed at a time", () => {
    const bits = 5_000_000;
    const bitmap = Bitmap.clean({ size: BigInt(bits) * 512n - 5n, granularity: 512 });
    const dirty = new Set<number>();
    for (let bit = 0; bit < 200_000; bit += 3) dirty.add(bit);
    for (const bit of dirty) bitmap.markBits({ first: bit, end: bit + 1 });
    // Around 2^21 bits, where the words are listed anew, and to the last bit.
    bitmap.markBits({ first: 2 ** 21 - 100, end: 2 ** 21 + 100 });
    bitmap.markBits({ first: 4_000_000, end: bits });
    const expected = [...runsOf(dirty), [2 ** 21 - 100, 2 ** 21 + 99], [4_000_000, bits - 1]];
    const batches = [...bitmap.batches()];
    expect(batches.length).toBeGreaterThan(3);
    expect(batches.flatMap((batch) => [...batch.runs])).toEqual(expected.flat());
    expect(bitmap.count()).toBe(dirty.size + 200 + bits - 4_000_000);
    const within = { offset: (2 ** 21 - 50) * 512 + 7, length: 2_500_000 * 512 };
    const inside = [...bitmap.batches({ within })].flatMap((batch) => [...batch.ranges()]);
    expect(inside).toEqual([
      { offset: within.offset, length: (2 ** 21 + 100) * 512 - within.offset },
      { offset: 4_000_000 * 512, length: within.offset + within.length - 4_000_000 * 512 },
    ]);
  });
});

describe("a clone", () => {
  const shape = { size: 70n * 512n, granularity: 512 };
  const CHANGES: Readonly<Record<string, (bitmap: Bitmap) => void>> = {
    mark: (bitmap) => bitmap.mark({ offset: 0, length: 1 }),
    markBits: (bitmap) => bitmap.markBits({ first: 69, end: 70 }),
    unmark: (bitmap) => bitmap.unmark({ offset: 33 * 512, length: 512 }),
    mergeWordsAt: (bitmap) => bitmap.mergeWordsAt(32, Uint32Array.of(1)),
    merge: (bitmap) => bitmap.merge(Bitmap.dirty(shape)),
    intersect: (bitmap) => bitmap.intersect(Bitmap.clean(shape)),
    subtract: (bitmap) => bitmap.subtract(Bitmap.dirty(shape)),
    xor: (bitmap) => bitmap.xor(Bitmap.dirty(shape)),
    invert: (bitmap) => bitmap.invert(),
  };

  test.each(Object.entries(CHANGES))("%s of one of two leaves the other as it was", (_, act) => {
    const made = (): Bitmap => {
      const bitmap = Bitmap.clean(shape);
      bitmap.markBits({ first: 33, end: 34 });
      return bitmap;
    };
    const changed = made();
    act(changed);
    expect([...dirtyOf(changed)]).not.toEqual([33]);
    for (const which of [0, 1]) {
      const one = made();
      const pair = [one, one.clone()] as const;
      act(pair[which === 0 ? 0 : 1]);
      expect([...dirtyOf(pair[which === 0 ? 1 : 0])]).toEqual([33]);
      expect(pair[which === 0 ? 0 : 1].equals(changed)).toBe(true);
      // The second change of both: each has bits of its own by now.
      act(pair[which === 0 ? 1 : 0]);
      expect(pair[0].equals(pair[1])).toBe(true);
    }
  });

  test("takes no memory until one of the two changes", () => {
    const bitmap = Bitmap.clean({ size: 2n ** 32n * 512n, granularity: 512 });
    const before = process.memoryUsage().arrayBuffers;
    const copies = Array.from({ length: 1000 }, () => bitmap.clone());
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
    expect(copies.at(-1)?.equals(bitmap)).toBe(true);
  });
});

test("words are taken by OR from a bit on, and those behind the last bit are not looked at", () => {
  const bitmap = Bitmap.clean({ size: 70n * 512n, granularity: 512 });
  bitmap.markBits({ first: 33, end: 34 });
  bitmap.mergeWordsAt(32, Uint32Array.of(0x80000001, 0xffffffff, 0xffffffff));
  expect([...dirtyOf(bitmap)]).toEqual([32, 33, 63, 64, 65, 66, 67, 68, 69]);
  expect(bitmap.count()).toBe(9);
});

test("2^32 bits work", () => {
  // 512 MiB: each step looks at all of them, so that there are few.
  const bits = 2 ** 32;
  const bitmap = Bitmap.dirty({ size: BigInt(bits) * 65536n - 1n, granularity: 65536 });
  expect(bitmap.bitCount).toBe(bits);
  expect(bitmap.count()).toBe(bits);
  expect(bitmap.nextClean(bits - 65)).toBe(-1);
  expect([bitmap.isDirty(bits - 1), bitmap.isDirty(bits)]).toEqual([true, false]);
  const within = { offset: BigInt(bits - 100) * 65536n, length: 100n * 65536n - 1n };
  expect([...bitmap.batches({ within })].flatMap((batch) => [...batch.runs])).toEqual([bits - 100, bits - 1]);
  bitmap.unmark({ offset: 0n, length: BigInt(bits - 1) * 65536n });
  expect(bitmap.nextDirty()).toBe(bits - 1);
  expect(bitmap.dirtyBytes()).toBe(65535n);
  expect([...bitmap.batches()].flatMap((batch) => [...batch.rangesBig()])).toEqual([
    { offset: BigInt(bits - 1) * 65536n, length: 65535n },
  ]);
  expect(bitmap.bytesAt(2 ** 29 - 2, 2)).toEqual(hex("00 80"));
  bitmap.invert();
  expect(bitmap.nextClean()).toBe(bits - 1);
});

test("batches of a random bitmap, in order and never touching", () => {
  fc.assert(
    fc.property(models, (model) => {
      const flat = [...bitmapOf(model).batches()].flatMap((batch) => [...batch.runs]);
      for (let at = 2; at < flat.length; at += 2) expect(flat[at] ?? 0).toBeGreaterThan((flat[at - 1] ?? 0) + 1);
    }),
    runs(100),
  );
});

describe("a freed bitmap", () => {
  const shape = { size: 4096n, granularity: 512 };
  const uses: Record<string, (bitmap: Bitmap, other: Bitmap) => unknown> = {
    toBytes: (bitmap) => bitmap.toBytes(),
    bytesAt: (bitmap) => bitmap.bytesAt(0, 0),
    viewAt: (bitmap) => bitmap.viewAt(0, 1),
    mergeWordsAt: (bitmap) => bitmap.mergeWordsAt(0, new Uint32Array(1)),
    isDirty: (bitmap) => bitmap.isDirty(99),
    mark: (bitmap) => bitmap.mark({ offset: 0, length: 0 }),
    unmark: (bitmap) => bitmap.unmark({ offset: 0, length: 1 }),
    markBits: (bitmap) => bitmap.markBits({ first: 0, end: 0 }),
    count: (bitmap) => bitmap.count(),
    dirtyBytes: (bitmap) => bitmap.dirtyBytes(),
    nextDirty: (bitmap) => bitmap.nextDirty(),
    nextClean: (bitmap) => bitmap.nextClean(),
    extents: (bitmap) => [...bitmap.extents()],
    batches: (bitmap) => [...bitmap.batches()],
    merge: (bitmap, other) => bitmap.merge(other),
    "merge into another": (bitmap, other) => other.merge(bitmap),
    intersect: (bitmap, other) => bitmap.intersect(other),
    "intersect another": (bitmap, other) => other.intersect(bitmap),
    subtract: (bitmap, other) => bitmap.subtract(other),
    "subtract from another": (bitmap, other) => other.subtract(bitmap),
    xor: (bitmap, other) => bitmap.xor(other),
    invert: (bitmap) => bitmap.invert(),
    equals: (bitmap) => bitmap.equals(bitmap),
    "equals another": (bitmap, other) => other.equals(bitmap),
    clone: (bitmap) => bitmap.clone(),
    regranulate: (bitmap) => bitmap.regranulate(1024),
    resize: (bitmap) => bitmap.resize(8192),
  };
  test.each(Object.entries(uses))("refuses %s", (_, use) => {
    const bitmap = Bitmap.dirty(shape);
    bitmap.free();
    const other = Bitmap.dirty(shape);
    expect(expectCode("USAGE", () => use(bitmap, other)).message).toContain("free");
    expect(other.count()).toBe(8);
  });

  test("leaves its clones their bits, and they their sharing", () => {
    const [a, b] = [Bitmap.dirty(shape), Bitmap.dirty(shape)];
    const clones = [a.clone(), a.clone()] as const;
    a.free();
    a.free();
    expectCode("USAGE", () => a.count());
    clones[0].unmark({ offset: 0, length: 512 });
    expect(clones.map((clone) => clone.count())).toEqual([7, 8]);
    clones[1].unmark({ offset: 0, length: 1024 });
    expect(clones.map((clone) => clone.count())).toEqual([7, 6]);
    {
      using c = b.clone();
      c.invert();
      expect(c.count()).toBe(0);
    }
    expect(b.count()).toBe(8);
  });
});
