// Bits of many pages, in slots of the memory of the kernels and in arrays, against plain bytes; and how slots are given back.
import { Bitmap } from "@qdb/format";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withoutKernels } from "../src/kernels/kernels.ts";
import { slotUse } from "../src/kernels/slots.ts";
import { expectCode } from "./support/errors.ts";
import { runs } from "./support/seed.ts";

const GRANULARITY = 512;
const PAGE_BITS = 2 ** 19;

/** Borders of pages, of half a page (below which a page has no slot), of words, and one bit past them. */
const bitCounts = fc.constantFrom(
  PAGE_BITS - 1,
  PAGE_BITS,
  PAGE_BITS + 1,
  PAGE_BITS + PAGE_BITS / 2 - 32,
  PAGE_BITS + PAGE_BITS / 2,
  2 * PAGE_BITS + 300_001,
  3 * PAGE_BITS + 33,
);

/** Runs of bits that end or begin at borders now and then. */
const places = (bits: number): fc.Arbitrary<number> =>
  fc.oneof(
    fc.integer({ min: 0, max: bits }),
    fc
      .constantFrom(0, PAGE_BITS - 1, PAGE_BITS, PAGE_BITS + 32, 2 * PAGE_BITS, bits - 1, bits)
      .map((at) => Math.min(at, bits)),
  );

interface Step {
  readonly act:
    | "dirty"
    | "clean"
    | "one"
    | "merge"
    | "intersect"
    | "subtract"
    | "xor"
    | "invert"
    | "copy"
    | "free copies"
    | "count";
  readonly first: number;
  readonly end: number;
  readonly seed: number;
}

const steps = (bits: number): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc
      .record({
        act: fc.constantFrom<Step["act"]>(
          ...([
            "dirty",
            "clean",
            "one",
            "merge",
            "intersect",
            "subtract",
            "xor",
            "invert",
            "copy",
            "free copies",
            "count",
          ] as const),
        ),
        a: places(bits),
        b: places(bits),
        seed: fc.integer({ min: 0, max: 4 }),
      })
      .map(({ act, a, b, seed }) => ({ act, first: Math.min(a, b), end: Math.max(a, b), seed })),
    { minLength: 4, maxLength: 14 },
  );

/** A source for combinations: nothing, all, noise, or sparse bits, in each page another of them. */
function sourceBytes(bits: number, seed: number): Uint8Array {
  return new Uint8Array(Math.ceil(bits / 8)).map((_, at) => {
    const kind = (Math.floor(at / (PAGE_BITS / 8)) + seed) % 4;
    if (kind === 0) return 0;
    if (kind === 1) return 0xff;
    const noise = Math.imul(at + seed, 2_654_435_761) >>> 24;
    return kind === 2 ? noise : at % 1000 === seed ? noise | 1 : 0;
  });
}

/** The plain model: a byte for each bit. */
class Plain {
  readonly bits: Uint8Array;

  constructor(bits: Uint8Array) {
    this.bits = bits;
  }

  combine(how: string, source: Uint8Array): void {
    const { bits } = this;
    for (let bit = 0; bit < bits.length; bit++) {
      const [one, other] = [bits[bit] ?? 0, ((source[bit >>> 3] ?? 0) >> (bit & 7)) & 1];
      if (how === "merge") bits[bit] = one | other;
      else if (how === "intersect") bits[bit] = one & other;
      else if (how === "subtract") bits[bit] = one & (1 - other);
      else bits[bit] = one ^ other;
    }
  }

  bytes(): Uint8Array {
    const result = new Uint8Array(Math.ceil(this.bits.length / 8));
    for (let bit = 0; bit < this.bits.length; bit++)
      if (this.bits[bit] === 1) result[bit >>> 3] = (result[bit >>> 3] ?? 0) | (1 << (bit & 7));
    return result;
  }
}

function shapeOf(bits: number) {
  return { size: BigInt(bits) * BigInt(GRANULARITY), granularity: GRANULARITY };
}

function count(bits: Uint8Array): number {
  return bits.reduce((sum, bit) => sum + bit, 0);
}

function same(bytes: Uint8Array, expected: Uint8Array): boolean {
  return Buffer.compare(bytes, expected) === 0;
}

function play(bits: number, list: readonly Step[], isPlain: (step: Step) => boolean): void {
  const bitmap = Bitmap.clean(shapeOf(bits));
  const plain = new Plain(new Uint8Array(bits));
  const copies: { readonly bitmap: Bitmap; readonly bytes: Uint8Array }[] = [];
  const act = ({ act, first, end, seed }: Step): void => {
    if (act === "dirty") {
      bitmap.markBits({ first, end });
      plain.bits.fill(1, first, end);
    } else if (act === "clean") {
      bitmap.unmark({ offset: first * GRANULARITY, length: (end - first) * GRANULARITY });
      plain.bits.fill(0, first, end);
    } else if (act === "one") {
      for (let bit = first; bit < Math.min(end, first + 100 * 7919); bit += 7919) {
        bitmap.markBits({ first: bit, end: bit + 1 });
        plain.bits[bit] = 1;
      }
    } else if (act === "invert") {
      bitmap.invert();
      for (let bit = 0; bit < bits; bit++) plain.bits[bit] = 1 - (plain.bits[bit] ?? 0);
    } else if (act === "copy") {
      copies.push({ bitmap: bitmap.clone(), bytes: plain.bytes() });
    } else if (act === "free copies") {
      for (const copy of copies.splice(0, 1)) copy.bitmap.free();
    } else if (act !== "count") {
      const source = sourceBytes(bits, seed);
      using other = Bitmap.fromBytes(source, shapeOf(bits));
      bitmap[act](other);
      plain.combine(act, source);
    }
    expect(bitmap.count()).toBe(count(plain.bits));
  };
  for (const step of list) {
    if (isPlain(step)) withoutKernels(() => act(step));
    else act(step);
  }
  const bytes = plain.bytes();
  expect(same(bitmap.toBytes(), bytes)).toBe(true);
  for (const copy of copies) expect(same(copy.bitmap.toBytes(), copy.bytes)).toBe(true);
  const [first = 0, end = 0] = [list[0]?.first, list[0]?.end];
  const within = { offset: first * GRANULARITY, length: (end - first) * GRANULARITY };
  let found = new Uint8Array(bits);
  for (const batch of bitmap.batches({ within }))
    for (let at = 0; at < batch.runs.length; at += 2)
      found = found.fill(1, batch.runs[at], (batch.runs[at + 1] ?? 0) + 1);
  expect(same(found.subarray(first, end), plain.bits.subarray(first, end))).toBe(true);
  expect(bitmap.nextDirty(first)).toBe(plain.bits.indexOf(1, first));
  expect(bitmap.nextClean(first)).toBe(plain.bits.indexOf(0, first));
  for (const copy of copies) copy.bitmap.free();
  bitmap.free();
}

describe.each<[string, (step: Step) => boolean]>([
  ["with kernels", () => false],
  ["without kernels", () => true],
  ["with kernels now and then, so that pages are in slots and in arrays", ({ seed }) => seed % 2 === 0],
])("bits of several pages, %s", (_, isPlain) => {
  test("are those of a plain model", () => {
    fc.assert(
      fc.property(
        bitCounts.chain((bits) => fc.record({ bits: fc.constant(bits), list: steps(bits) })),
        ({ bits, list }) => play(bits, list, isPlain),
      ),
      runs(12),
    );
  });

  test("are the same at another granularity", () => {
    fc.assert(
      fc.property(
        bitCounts,
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 1, max: 17 }),
        fc.boolean(),
        (bits, seed, power, isFiner) => {
          const factor = 2 ** (isFiner ? Math.min(power, 3) : power);
          const bytes = sourceBytes(bits, seed);
          const work = (): readonly [Uint8Array, number] => {
            using bitmap = Bitmap.fromBytes(bytes, { size: BigInt(bits) * 4096n - 5n, granularity: 4096 });
            using other = bitmap.regranulate(isFiner ? 4096 / factor : 4096 * factor);
            return [other.toBytes(), other.bitCount];
          };
          const [found, length] = isPlain({ act: "count", first: 0, end: 0, seed }) ? withoutKernels(work) : work();
          const expected = new Uint8Array(Math.ceil(length / 8));
          for (let bit = 0; bit < length; bit++) {
            const first = isFiner ? Math.floor(bit / factor) : bit * factor;
            let any = 0;
            for (let at = first; at < (isFiner ? first + 1 : Math.min(first + factor, bits)); at++)
              any |= ((bytes[at >>> 3] ?? 0) >> (at & 7)) & 1;
            if (any === 1) expected[bit >>> 3] = (expected[bit >>> 3] ?? 0) | (1 << (bit & 7));
          }
          expect(same(found, expected)).toBe(true);
        },
      ),
      runs(20),
    );
  });
});

/** A bitmap of one page, in a slot, with noise. */
function noise(seed = 2): Bitmap {
  return Bitmap.fromBytes(sourceBytes(PAGE_BITS, seed), shapeOf(PAGE_BITS));
}

describe("slots", () => {
  test("are given back by free and using, at once, and used again", () => {
    const before = slotUse().used;
    const bitmap = noise();
    expect(slotUse().used).toBe(before + 1);
    {
      using copy = bitmap.clone();
      expect(slotUse().used).toBe(before + 1);
      copy.markBits({ first: 0, end: 9 });
      expect(slotUse().used).toBe(before + 2);
    }
    expect(slotUse().used).toBe(before + 1);
    bitmap.free();
    bitmap.free();
    expect(slotUse().used).toBe(before);
    const { available } = slotUse();
    for (let turn = 0; turn < 1000; turn++) noise().free();
    expect(slotUse()).toEqual({ used: before, available });
  });

  test("stay with a bitmap as long as one that shares them is there", () => {
    const first = noise();
    const expected = first.toBytes();
    const clones = [first.clone(), first.clone()] as const;
    first.free();
    // Whoever gets a slot now gets another one.
    const others = Array.from({ length: 20 }, () => noise(3));
    expect(same(clones[0].toBytes(), expected)).toBe(true);
    clones[0].invert();
    clones[0].free();
    expect(same(clones[1].toBytes(), expected)).toBe(true);
    for (const bitmap of [...others, clones[1]]) bitmap.free();
  });

  test("hold none of the bits that they held before", () => {
    const full = noise();
    full.free();
    const clean = Bitmap.clean(shapeOf(PAGE_BITS));
    clean.markBits({ first: 77, end: 78 });
    expect([clean.count(), clean.nextDirty(), clean.nextDirty(78)]).toEqual([1, 77, -1]);
    clean.free();
    const short = Bitmap.clean(shapeOf(PAGE_BITS - 1000));
    short.markBits({ first: 1, end: 2 });
    expect(short.toBytes().reduce((sum, byte) => sum + byte, 0)).toBe(2);
    short.free();
  });

  test("are never seen from outside: what was given out stays as it was", () => {
    const bitmap = noise();
    const expected = bitmap.toBytes();
    const [view, page] = [bitmap.viewAt(0, PAGE_BITS / 8), bitmap.pageAt({ first: 0, end: PAGE_BITS })];
    bitmap.invert();
    bitmap.free();
    noise(3).invert();
    // The memory grows, so that its views end.
    const many = Array.from({ length: 200 }, () => noise());
    expect(same(view, expected)).toBe(true);
    expect(typeof page === "string" ? 0 : page.byteLength).toBe(PAGE_BITS / 8);
    if (typeof page === "object")
      expect(same(new Uint8Array(page.buffer, page.byteOffset, page.byteLength), expected)).toBe(true);
    for (const one of many) one.free();
  });

  test("a listing goes on with a bitmap that changes, and ends with an error if it is freed", () => {
    const bitmap = noise();
    const listing = bitmap.batches();
    expect(listing.next().done).toBe(false);
    bitmap.free();
    const other = noise();
    expectCode("USAGE", () => [...listing]);
    other.free();
  });

  test("a bitmap of itself", () => {
    const bitmap = noise();
    const bytes = bitmap.toBytes();
    bitmap.merge(bitmap);
    bitmap.intersect(bitmap);
    expect(same(bitmap.toBytes(), bytes)).toBe(true);
    bitmap.xor(bitmap);
    expect(bitmap.count()).toBe(0);
    bitmap.free();
  });
});
