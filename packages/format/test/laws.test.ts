import { Bitmap, isQdbError } from "@qdb/format";
import { describe, expect, test } from "vitest";
import {
  bitmapOf,
  bitsOf,
  dirtyOf,
  type Model,
  models,
  modelsOf,
  rangesIn,
  runsOf,
  sameShape,
  shapes,
} from "./support/model.ts";
import { fc, runs } from "./support/seed.ts";

/** Every law over every shape: each operation on copies, so that the operands stay. */
const ops = {
  or: (a: Bitmap, b: Bitmap) => change(a, (x) => x.merge(b)),
  and: (a: Bitmap, b: Bitmap) => change(a, (x) => x.intersect(b)),
  minus: (a: Bitmap, b: Bitmap) => change(a, (x) => x.subtract(b)),
  xor: (a: Bitmap, b: Bitmap) => change(a, (x) => x.xor(b)),
  not: (a: Bitmap) => change(a, (x) => x.invert()),
};

function change(bitmap: Bitmap, how: (copy: Bitmap) => void): Bitmap {
  const copy = bitmap.clone();
  how(copy);
  return copy;
}

function all({ bits }: Model): number[] {
  return Array.from({ length: bits }, (_, bit) => bit);
}

function expectSame(actual: Bitmap, expected: Bitmap): void {
  expect(dirtyOf(actual)).toEqual(dirtyOf(expected));
  expect(actual.equals(expected)).toBe(true);
}

describe("operations against a plain set of numbers", () => {
  test("merge, intersect, subtract, xor, invert give the set's answer, and leave the other operand as it was", () => {
    fc.assert(
      fc.property(sameShape(2), ([a, b]) => {
        if (a === undefined || b === undefined) return;
        const [left, right] = [bitmapOf(a), bitmapOf(b)];
        const pick = (keep: (inA: boolean, inB: boolean) => boolean): Set<number> =>
          new Set(all(a).filter((bit) => keep(a.dirty.has(bit), b.dirty.has(bit))));
        expect(dirtyOf(ops.or(left, right))).toEqual(pick((x, y) => x || y));
        expect(dirtyOf(ops.and(left, right))).toEqual(pick((x, y) => x && y));
        expect(dirtyOf(ops.minus(left, right))).toEqual(pick((x, y) => x && !y));
        expect(dirtyOf(ops.xor(left, right))).toEqual(pick((x, y) => x !== y));
        expect(dirtyOf(ops.not(left))).toEqual(pick((x) => !x));
        expect(dirtyOf(left)).toEqual(a.dirty);
        expect(dirtyOf(right)).toEqual(b.dirty);
      }),
      runs(300),
    );
  });

  test("count, dirtyBytes, nextDirty, nextClean, equals, toBytes", () => {
    fc.assert(
      fc.property(
        models.chain((model) => fc.tuple(fc.constant(model), fc.integer({ min: 0, max: model.bits + 40 }))),
        ([model, from]) => {
          const bitmap = bitmapOf(model);
          const { dirty, bits, shape } = model;
          expect(bitmap.bitCount).toBe(bits);
          expect(bitmap.count()).toBe(dirty.size);
          let bytes = 0n;
          for (const bit of dirty) {
            const end = BigInt(bit + 1) * BigInt(shape.granularity);
            bytes += (end < shape.size ? end : shape.size) - BigInt(bit) * BigInt(shape.granularity);
          }
          expect(bitmap.dirtyBytes()).toBe(bytes);
          expect(bitmap.nextDirty(from)).toBe(all(model).find((bit) => bit >= from && dirty.has(bit)) ?? -1);
          expect(bitmap.nextClean(from)).toBe(all(model).find((bit) => bit >= from && !dirty.has(bit)) ?? -1);
          const raw = new Uint8Array(Math.ceil(bits / 8));
          for (const bit of dirty) raw[bit >> 3] = (raw[bit >> 3] ?? 0) | (1 << (bit & 7));
          expect(bitmap.toBytes()).toEqual(raw);
          const read = Bitmap.fromBytes(raw, shape);
          expect(read.equals(bitmap)).toBe(true);
          if (bits > 0) expect(change(read, (x) => x.xor(last(x))).equals(bitmap)).toBe(false);
        },
      ),
      runs(300),
    );
  });

  test("extents are the maximal runs of the set, within a range too, whose ends clip the bytes", () => {
    fc.assert(
      fc.property(
        models.chain((model) => fc.tuple(fc.constant(model), rangesIn(model.shape.size))),
        ([model, within]) => {
          const bitmap = bitmapOf(model);
          const { granularity, size } = model.shape;
          const listed = [...bitmap.batches()].flatMap((batch) => pairs(batch.runs));
          expect(listed).toEqual(runsOf(model.dirty));
          const g = BigInt(granularity);
          const end = within.offset + within.length;
          const touched =
            within.length === 0n
              ? []
              : all(model).filter((bit) => BigInt(bit) * g < end && BigInt(bit + 1) * g > within.offset);
          const inside = runsOf(new Set(touched.filter((bit) => model.dirty.has(bit))));
          const batches = [...bitmap.batches({ within })];
          expect(batches.flatMap((batch) => pairs(batch.runs))).toEqual(inside);
          const expected = inside.map(([first, last]) => {
            const start = max(BigInt(first) * g, within.offset);
            return { offset: start, length: min(min(BigInt(last + 1) * g, end), size) - start };
          });
          expect(batches.flatMap((batch) => [...batch.rangesBig()])).toEqual(expected);
          const numbers = expected.map(({ offset, length }) => ({ offset: Number(offset), length: Number(length) }));
          expect(batches.flatMap((batch) => [...batch.ranges()])).toEqual(numbers);
        },
      ),
      runs(300),
    );
  });
});

describe("laws of the set algebra", () => {
  const three = sameShape(3).map((list) => list.map(bitmapOf) as [Bitmap, Bitmap, Bitmap]);
  const { or, and, minus, xor, not } = ops;
  const laws: Readonly<Record<string, (a: Bitmap, b: Bitmap, c: Bitmap) => readonly [Bitmap, Bitmap]>> = {
    "union is commutative": (a, b) => [or(a, b), or(b, a)],
    "intersection is commutative": (a, b) => [and(a, b), and(b, a)],
    "xor is commutative": (a, b) => [xor(a, b), xor(b, a)],
    "union is associative": (a, b, c) => [or(or(a, b), c), or(a, or(b, c))],
    "intersection is associative": (a, b, c) => [and(and(a, b), c), and(a, and(b, c))],
    "xor is associative": (a, b, c) => [xor(xor(a, b), c), xor(a, xor(b, c))],
    "union is idempotent": (a) => [or(a, a), a],
    "intersection is idempotent": (a) => [and(a, a), a],
    "intersection distributes over union": (a, b, c) => [and(a, or(b, c)), or(and(a, b), and(a, c))],
    "union distributes over intersection": (a, b, c) => [or(a, and(b, c)), and(or(a, b), or(a, c))],
    absorption: (a, b) => [or(a, and(a, b)), a],
    "De Morgan, union": (a, b) => [not(or(a, b)), and(not(a), not(b))],
    "De Morgan, intersection": (a, b) => [not(and(a, b)), or(not(a), not(b))],
    "invert twice": (a) => [not(not(a)), a],
    "difference is intersection with the inverse": (a, b) => [minus(a, b), and(a, not(b))],
    "xor is what is in one alone": (a, b) => [xor(a, b), or(minus(a, b), minus(b, a))],
    "xor undoes itself": (a, b) => [xor(xor(a, b), b), a],
    "nothing minus anything": (a, b) => [minus(Bitmap.clean(a), b), Bitmap.clean(a)],
    "a and its inverse are everything": (a) => [or(a, not(a)), Bitmap.dirty(a)],
    "a and its inverse share nothing": (a) => [and(a, not(a)), Bitmap.clean(a)],
    "everything is the unit of intersection": (a) => [and(a, Bitmap.dirty(a)), a],
    "nothing is the unit of union": (a) => [or(a, Bitmap.clean(a)), a],
  };
  test.each(Object.entries(laws))("%s", (_, law) => {
    fc.assert(
      fc.property(three, ([a, b, c]) => expectSame(...law(a, b, c))),
      runs(60),
    );
  });
});

describe("rounding never loses dirt", () => {
  const ranged = models.chain((model) => fc.tuple(fc.constant(model), rangesIn(model.shape.size)));

  test("mark covers its range: exactly the granules that it touches become dirty, the others stay", () => {
    fc.assert(
      fc.property(ranged, fc.boolean(), ([model, range], asNumbers) => {
        const bitmap = bitmapOf(model);
        bitmap.mark(asNumbers ? { offset: Number(range.offset), length: Number(range.length) } : range);
        const g = BigInt(model.shape.granularity);
        const end = range.offset + range.length;
        const touches = (bit: number): boolean =>
          range.length > 0n && BigInt(bit) * g < end && BigInt(bit + 1) * g > range.offset;
        expect(dirtyOf(bitmap)).toEqual(new Set(all(model).filter((bit) => model.dirty.has(bit) || touches(bit))));
      }),
      runs(400),
    );
  });

  test("unmark cleans the granules that it covers whole, the last one clipped to the disk, and no other", () => {
    fc.assert(
      fc.property(ranged, ([model, range]) => {
        const bitmap = bitmapOf(model);
        bitmap.unmark(range);
        const g = BigInt(model.shape.granularity);
        const end = range.offset + range.length;
        const covered = (bit: number): boolean =>
          BigInt(bit) * g >= range.offset && min(BigInt(bit + 1) * g, model.shape.size) <= end;
        expect(dirtyOf(bitmap)).toEqual(new Set(all(model).filter((bit) => model.dirty.has(bit) && !covered(bit))));
      }),
      runs(400),
    );
  });

  test("regranulate: a bit is dirty exactly where one that shares a byte of the disk with it was, at every factor", () => {
    const finest = shapes({ maxBits: 130 }).chain((shape) =>
      fc.tuple(modelsOf(shape), fc.integer({ min: 9, max: 31 })),
    );
    fc.assert(
      fc.property(finest, ([model, power]) => {
        const target = { size: model.shape.size, granularity: 2 ** power };
        // A refined bitmap of a coarse one can have billions of bits; those are looked at by their runs.
        if (bitsOf(target) > 40_000) return;
        const bitmap = bitmapOf(model);
        const result = bitmap.regranulate(target.granularity);
        expect(result.granularity).toBe(target.granularity);
        const ratio = model.shape.granularity / target.granularity;
        const expected = new Set<number>();
        const targetBits = bitsOf(target);
        for (const bit of model.dirty) {
          const end = Math.min(targetBits, Math.ceil((bit + 1) * ratio));
          for (let to = Math.floor(bit * ratio); to < end; to++) expected.add(to);
        }
        expect(dirtyOf(result)).toEqual(expected);
        expect(dirtyOf(bitmap)).toEqual(model.dirty);
      }),
      runs(400),
    );
  });

  test("refining and coarsening back is the same; coarsening and refining back only adds", () => {
    const steps = fc.integer({ min: 1, max: 10 });
    fc.assert(
      fc.property(shapes({ maxBits: 90, maxPower: 21 }).chain(modelsOf), steps, (model, step) => {
        const bitmap = bitmapOf(model);
        const { granularity } = model.shape;
        const fine = Math.max(512, granularity / 2 ** step);
        expectSame(bitmap.regranulate(fine).regranulate(granularity), bitmap);
        const there = bitmap.regranulate(granularity * 2 ** step).regranulate(granularity);
        expect(ops.minus(bitmap, there).count()).toBe(0);
        // In one step or in many: the way does not matter.
        let slow = bitmap;
        for (let at = 1; at <= step; at++) slow = slow.regranulate(granularity * 2 ** at);
        expectSame(slow, bitmap.regranulate(granularity * 2 ** step));
      }),
      runs(200),
    );
  });

  test("intersect and subtract of another granularity: a byte that is dirty in the result's terms is never lost", () => {
    const pairOf = fc
      .tuple(shapes({ maxBits: 90, maxPower: 16 }), fc.integer({ min: 9, max: 16 }))
      .chain(([shape, power]) => fc.tuple(modelsOf(shape), modelsOf({ size: shape.size, granularity: 2 ** power })));
    fc.assert(
      fc.property(pairOf, ([model, source]) => {
        // Each granule of the model with the granules of the source that share a byte of the disk with it.
        const size = Number(model.shape.size);
        const [own, other] = [model.shape.granularity, source.shape.granularity];
        const [kept, left] = [new Set<number>(), new Set<number>()];
        for (const bit of model.dirty) {
          const under: boolean[] = [];
          const end = Math.min(size, (bit + 1) * own);
          for (let at = Math.floor((bit * own) / other); at * other < end; at++) under.push(source.dirty.has(at));
          if (under.includes(true)) kept.add(bit);
          if (under.includes(false)) left.add(bit);
        }
        const sourceBits = bitmapOf(source);
        expect(dirtyOf(change(bitmapOf(model), (copy) => copy.intersect(sourceBits)))).toEqual(kept);
        expect(dirtyOf(change(bitmapOf(model), (copy) => copy.subtract(sourceBits)))).toEqual(left);
        expect(dirtyOf(sourceBits)).toEqual(source.dirty);
      }),
      runs(300),
    );
  });

  test("merge of another granularity covers every byte that either had dirty", () => {
    const two = fc
      .tuple(shapes({ maxBits: 60, maxPower: 16 }), fc.integer({ min: 9, max: 16 }))
      .chain(([shape, power]) => fc.tuple(modelsOf(shape), modelsOf({ size: shape.size, granularity: 2 ** power })));
    fc.assert(
      fc.property(two, ([a, b]) => {
        const merged = change(bitmapOf(a), (x) => x.merge(bitmapOf(b)));
        const expected = new Set(a.dirty);
        const ratio = b.shape.granularity / a.shape.granularity;
        for (const bit of b.dirty)
          for (let to = Math.floor(bit * ratio); to < Math.min(a.bits, Math.ceil((bit + 1) * ratio)); to++)
            expected.add(to);
        expect(dirtyOf(merged)).toEqual(expected);
      }),
      runs(200),
    );
  });

  test("resize: a new area is dirty from the granule that holds the old end on; clean is the caller's word, and cleans nothing", () => {
    const resized = models.chain((model) =>
      fc.tuple(
        fc.constant(model),
        fc.bigInt({ min: 0n, max: model.shape.size * 2n + 3n * BigInt(model.shape.granularity) }),
      ),
    );
    fc.assert(
      fc.property(resized, fc.boolean(), ([model, size], clean) => {
        const bitmap = bitmapOf(model);
        const result = bitmap.resize(size, clean ? { newArea: "clean" } : {});
        expect(result.size).toBe(size);
        const bits = bitsOf(result);
        const expected = new Set([...model.dirty].filter((bit) => bit < bits));
        if (size > model.shape.size && !clean) {
          for (let bit = Number(model.shape.size / BigInt(model.shape.granularity)); bit < bits; bit++)
            expected.add(bit);
        }
        expect(dirtyOf(result)).toEqual(expected);
        expect(dirtyOf(bitmap)).toEqual(model.dirty);
      }),
      runs(400),
    );
  });

  test("shrink, then grow: whatever was cut off is dirty again", () => {
    const cut = models.chain((model) => fc.tuple(fc.constant(model), fc.bigInt({ min: 0n, max: model.shape.size })));
    fc.assert(
      fc.property(cut, ([model, smaller]) => {
        const bitmap = bitmapOf(model);
        const back = bitmap.resize(smaller).resize(model.shape.size);
        expect(ops.minus(bitmap, back).count()).toBe(0);
        if (smaller === model.shape.size) return;
        const first = Number(smaller / BigInt(model.shape.granularity));
        for (let bit = first; bit < model.bits; bit++) expect(back.isDirty(bit)).toBe(true);
      }),
      runs(300),
    );
  });
});

describe("operands that do not fit", () => {
  const a = Bitmap.clean({ size: 5000n, granularity: 512 });
  const longer = Bitmap.clean({ size: 5001n, granularity: 512 });
  test.each(["merge", "intersect", "subtract", "xor"] as const)("%s of another disk is SIZE_MISMATCH", (how) => {
    expect(() => a.clone()[how](longer)).toThrowError(
      expect.toSatisfy((error: unknown) => isQdbError(error, "SIZE_MISMATCH")),
    );
  });

  test("xor of another granularity is USAGE", () => {
    const coarser = Bitmap.clean({ size: 5000n, granularity: 1024 });
    expect(() => a.clone().xor(coarser)).toThrowError(
      expect.toSatisfy((error: unknown) => isQdbError(error, "USAGE") && error.message.includes("512 and 1024")),
    );
  });

  test("equality takes size and granularity in", () => {
    expect(a.equals(Bitmap.clean({ size: 5001n, granularity: 512 }))).toBe(false);
    expect(a.equals(Bitmap.clean({ size: 5000n, granularity: 1024 }))).toBe(false);
    expect(a.equals(Bitmap.clean({ size: 5000n, granularity: 512 }))).toBe(true);
  });
});

function last(bitmap: Bitmap): Bitmap {
  const one = Bitmap.clean(bitmap);
  one.markBits({ first: bitmap.bitCount - 1, end: bitmap.bitCount });
  return one;
}

function pairs(flat: Uint32Array): [number, number][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] ?? -1, flat[2 * at + 1] ?? -1]);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
