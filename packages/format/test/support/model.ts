import { Bitmap, type BitmapShape } from "@qdb/format";
import { fc } from "./seed.ts";

/** What a bitmap is, said as simply as it can be: a shape and a set of bit numbers. */
export interface Model {
  readonly shape: BitmapShape;
  readonly bits: number;
  readonly dirty: ReadonlySet<number>;
}

/** Number of bits, counted without the library. */
export function bitsOf(shape: BitmapShape): number {
  const granularity = BigInt(shape.granularity);
  return Number((shape.size + granularity - 1n) / granularity);
}

/** The library's bitmap of a model. */
export function bitmapOf({ shape, dirty }: Model): Bitmap {
  const bitmap = Bitmap.clean(shape);
  for (const bit of dirty) bitmap.markBits({ first: bit, end: bit + 1 });
  return bitmap;
}

/** The dirty bits of the library's bitmap, asked one by one. */
export function dirtyOf(bitmap: Bitmap): Set<number> {
  const dirty = new Set<number>();
  for (let bit = 0; bit < bitmap.bitCount; bit++) if (bitmap.isDirty(bit)) dirty.add(bit);
  return dirty;
}

/** Runs of a set of bits, first and last both inclusive. */
export function runsOf(dirty: ReadonlySet<number>): [first: number, last: number][] {
  const runs: [number, number][] = [];
  for (const bit of [...dirty].sort((a, b) => a - b)) {
    const open = runs.at(-1);
    if (open !== undefined && open[1] === bit - 1) open[1] = bit;
    else runs.push([bit, bit]);
  }
  return runs;
}

/** Sizes of a few granules, most of them no multiple of the granularity. */
export function shapes(options: { maxBits?: number; maxPower?: number } = {}): fc.Arbitrary<BitmapShape> {
  const { maxBits = 200, maxPower = 31 } = options;
  return fc
    .record({
      power: fc.integer({ min: 9, max: maxPower }),
      bits: fc.integer({ min: 0, max: maxBits }),
      short: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 31n })),
    })
    .map(({ power, bits, short }) => {
      const granularity = 2 ** power;
      const whole = BigInt(bits) * BigInt(granularity);
      return { size: bits === 0 ? 0n : whole - (short % BigInt(granularity)), granularity };
    });
}

/** Runs of dirty bits and single ones, so that words are empty, full and mixed. */
export function dirtySets(bits: number): fc.Arbitrary<Set<number>> {
  const runs = fc.array(fc.tuple(fc.integer({ min: 0, max: Math.max(0, bits - 1) }), fc.integer({ min: 1, max: 90 })), {
    maxLength: 6,
  });
  return runs.map((list) => {
    const dirty = new Set<number>();
    for (const [first, length] of list)
      for (let bit = first; bit < Math.min(bits, first + length); bit++) dirty.add(bit);
    return dirty;
  });
}

/** A model of any shape. */
export const models: fc.Arbitrary<Model> = shapes().chain((shape) => modelsOf(shape));

/** A model of a certain shape. */
export function modelsOf(shape: BitmapShape): fc.Arbitrary<Model> {
  const bits = bitsOf(shape);
  return dirtySets(bits).map((dirty) => ({ shape, bits, dirty }));
}

/** So many models of one shape. */
export function sameShape(count: number): fc.Arbitrary<Model[]> {
  return shapes().chain((shape) => fc.tuple(...Array.from({ length: count }, () => modelsOf(shape))));
}

/** A range inside a disk, in bytes; empty ones too. */
export function rangesIn(size: bigint): fc.Arbitrary<{ offset: bigint; length: bigint }> {
  const place = fc.oneof(fc.bigInt({ min: 0n, max: size }), fc.constant(size));
  return fc.tuple(place, place).map(([a, b]) => (a < b ? { offset: a, length: b - a } : { offset: b, length: a - b }));
}
