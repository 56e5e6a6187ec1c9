// The kernels in WebAssembly and the same operations in JavaScript: each against a plain model, at the borders of words, of the padding and
// of the parts in which the words are copied.
import { readFileSync } from "node:fs";
import { crc32 as zlibCrc32 } from "node:zlib";
import { Bitmap } from "@qdb/format";
import { crc32 } from "@qdb/format/container";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MODULES, moduleText, targetOf } from "../kernels/build.ts";
import { coarsen, refine } from "../src/bitmap/granularity.ts";
import { RunCollector } from "../src/bitmap/runs.ts";
import { countBits } from "../src/bitmap/words.ts";
import { kernels, withoutKernels } from "../src/kernels/kernels.ts";

const WAYS: Readonly<Record<string, <T>(work: () => T) => T>> = {
  WebAssembly: (work) => work(),
  JavaScript: withoutKernels,
};

/** Words of runs and of noise, with lengths about the borders: 4 words of padding, 1024 of a part for edges, 16384 of a part. */
const words = fc
  .record({
    length: fc.oneof(
      fc.integer({ min: 256, max: 300 }),
      fc.integer({ min: 1020, max: 1030 }),
      fc.integer({ min: 8190, max: 8196 }),
      fc.integer({ min: 16_380, max: 16_390 }),
    ),
    seed: fc.integer({ min: 1 }),
    kind: fc.constantFrom("noise", "sparse", "runs", "zeros", "ones"),
    ends: fc.constantFrom(0, 0x8000_0000, 0xffff_ffff, 1),
  })
  .map(({ length, seed, kind, ends }) => {
    let state = seed;
    const next = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state;
    };
    const result = new Uint32Array(length).map((_, at) => {
      if (kind === "zeros") return 0;
      if (kind === "ones") return 0xffff_ffff;
      if (kind === "runs") return (at >> 3) % 3 === 0 ? 0xffff_ffff : 0;
      const word = next() ^ (next() >>> 16);
      return kind === "noise" ? word : next() % 9 === 0 ? 1 << (word & 31) : 0;
    });
    result[length - 1] = ends;
    return result;
  });

const bitOf = (source: Uint32Array, bit: number): number => ((source[bit >>> 5] ?? 0) >>> (bit & 31)) & 1;

function runsOf(source: Uint32Array, base: number): number[] {
  const runs: number[] = [];
  for (let bit = 0; bit < source.length * 32; bit++) {
    if (bitOf(source, bit) === 0) continue;
    if (bit > 0 && bitOf(source, bit - 1) === 1) runs[runs.length - 1] = base + bit;
    else runs.push(base + bit, base + bit);
  }
  return runs;
}

test("the modules are what their text comes to, and are loaded here", async () => {
  for (const name of Object.keys(MODULES) as (keyof typeof MODULES)[])
    expect(readFileSync(targetOf(name), "utf8"), name).toBe(await moduleText(name));
  expect(kernels()).toBeDefined();
  expect(withoutKernels(kernels)).toBeUndefined();
});

describe.each(Object.entries(WAYS))("in %s", (_, run) => {
  test("bits are counted", () => {
    fc.assert(
      fc.property(words, (source) => {
        let count = 0;
        for (let bit = 0; bit < source.length * 32; bit++) count += bitOf(source, bit);
        expect(run(() => countBits(source))).toBe(count);
      }),
      { numRuns: 6 },
    );
  });

  test("runs are those of a plain loop, also if the words arrive in parts", () => {
    fc.assert(
      fc.property(
        words,
        fc.constantFrom(0, 32, 2 ** 31, 2 ** 32 - 2 ** 20),
        fc.integer({ min: 1, max: 5000 }),
        (source, base, cut) => {
          const found = run(() => {
            const collector = new RunCollector();
            for (let at = 0; at < source.length; at += cut)
              collector.pushWords(source.subarray(at, at + cut), base + at * 32);
            return collector.finish(base + source.length * 32).flatMap((batch) => [...batch]);
          });
          expect(found).toEqual(runsOf(source, base));
        },
      ),
      { numRuns: 8 },
    );
  });

  test("bits are coarsened and refined", () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 4 }), (source, steps) => {
        const factor = 2 ** steps;
        const coarse = run(() => coarsen(source, steps, Math.ceil(source.length / factor)));
        const fine = run(() => refine(source, steps, source.length * factor - 1));
        for (let bit = 0; bit < coarse.length * 32; bit += 7) {
          let any = 0;
          for (let at = 0; at < factor; at++) any |= bitOf(source, bit * factor + at);
          expect(bitOf(coarse, bit)).toBe(any);
        }
        expect(fine.length).toBe(source.length * factor - 1);
        for (let bit = 0; bit < fine.length * 32; bit += 13)
          expect(bitOf(fine, bit)).toBe(bitOf(source, Math.floor(bit / factor)));
      }),
      { numRuns: 3 },
    );
  });

  test("CRC-32 is that of zlib, at any length, place and beginning", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 0, max: 2100 }), fc.integer({ min: 65_530, max: 65_560 }), fc.constant(200_003)),
        fc.integer({ min: 0, max: 7 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (length, offset, previous) => {
          const bytes = new Uint8Array(length + offset)
            .map((_, at) => (at * 31 + (at >> 5) * 7) & 255)
            .subarray(offset);
          expect(run(() => crc32(bytes, previous))).toBe(zlibCrc32(bytes, previous));
        },
      ),
      { numRuns: 20 },
    );
  });

  test("a bitmap of several pages is the same", () => {
    const shape = { size: 2n ** 21n * 512n - 3n, granularity: 512 };
    const bytes = new Uint8Array(2 ** 18).map((_, at) => (at % 3000 < 40 ? (at * 73) & 255 : 0));
    const result = run(() => {
      const bitmap = Bitmap.fromBytes(bytes, shape);
      const [coarse, fine] = [bitmap.regranulate(4096), bitmap.regranulate(4096).regranulate(512)];
      return [bitmap, coarse, fine].map((one) => [one.count(), [...one.batches()].map((batch) => [...batch.runs])]);
    });
    const plain = withoutKernels(() => Bitmap.fromBytes(bytes, shape));
    let count = 0;
    for (const byte of bytes) for (let bit = 0; bit < 8; bit++) count += (byte >> bit) & 1;
    expect(result[0]?.[0]).toBe(count);
    expect(plain.count()).toBe(count);
    expect(result).toMatchObject(
      withoutKernels(() =>
        [plain, plain.regranulate(4096), plain.regranulate(4096).regranulate(512)].map((one) => [
          one.count(),
          [...one.batches()].map((batch) => [...batch.runs]),
        ]),
      ),
    );
  });
});
