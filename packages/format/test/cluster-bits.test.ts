// Pending bits, cluster by cluster, against a plain model: an array of bits. The bitmaps lie in a file, in which clusters are zeros, ones or
// stored, and have several sizes and granularities, so that clusters of the two sides of a combination do not match.
import { Bitmap, type BitmapShape, bytesSource, type QdbError } from "@qdb/format";
import { type Edits, QdbEditor, runSync } from "@qdb/format/container";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readClusterBits } from "../src/bits/read-cluster-bits.ts";
import { asyncStore, fileOf, MemoryStore, openEditor } from "./store.ts";

const GRANULARITIES = [512, 1024, 4096, 65536, 2 ** 22] as const;

/** A plain bitmap: a byte for each bit. */
interface Plain {
  readonly size: number;
  readonly granularity: number;
  readonly bits: Uint8Array;
}

const bitsOf = (size: number, granularity: number): number => Math.ceil(size / granularity);

/** Returns whether the bytes of the disk that a bit stands for are dirty in a source: any of them, or all of them. */
function inSource({ size, granularity }: Plain, bit: number, source: Plain, all: boolean): number {
  const first = Math.floor((bit * granularity) / source.granularity);
  const end = Math.ceil(Math.min((bit + 1) * granularity, size) / source.granularity);
  const bits = source.bits.subarray(first, end);
  return (all ? bits.every((value) => value === 1) : bits.includes(1)) ? 1 : 0;
}

const COMBINE: Readonly<Record<string, (bit: number, other: number) => number>> = {
  merge: (bit, other) => bit | other,
  intersect: (bit, other) => bit & other,
  subtract: (bit, other) => bit & (1 - other),
  xor: (bit, other) => bit ^ other,
};

function libraryBitmap({ size, granularity, bits }: Plain): Bitmap {
  const bitmap = Bitmap.clean({ size, granularity });
  for (const [bit, value] of bits.entries()) if (value === 1) bitmap.markBits({ first: bit, end: bit + 1 });
  return bitmap;
}

/** Bits in runs, so that whole clusters are clean or dirty at times. */
const plainOf = (size: number) =>
  fc
    .record({
      granularity: fc.constantFrom(...GRANULARITIES.filter((granularity) => bitsOf(size, granularity) < 60_000)),
      runs: fc.array(
        fc.record({
          at: fc.double({ min: 0, max: 1, noNaN: true }),
          length: fc.double({ min: 0, max: 1, noNaN: true }),
          wide: fc.boolean(),
        }),
        { maxLength: 6 },
      ),
    })
    .map(({ granularity, runs }): Plain => {
      const bits = new Uint8Array(bitsOf(size, granularity));
      for (const { at, length, wide } of runs) {
        const first = Math.floor(at * bits.length);
        bits.fill(1, first, first + 1 + Math.floor(length * (wide ? bits.length : 40)));
      }
      return { size, granularity, bits };
    });

type Step =
  | { readonly kind: "range"; readonly value: boolean; readonly offset: number; readonly length: number }
  | { readonly kind: "combine"; readonly how: keyof typeof COMBINE; readonly lazy: boolean }
  | { readonly kind: "clear" | "mark all" | "invert" }
  | { readonly kind: "regranulate"; readonly granularity: number }
  | { readonly kind: "resize"; readonly size: number; readonly area: "dirty" | "clean" };

const step = (size: number): fc.Arbitrary<Step> =>
  fc.oneof(
    fc.record({
      kind: fc.constant("range" as const),
      value: fc.boolean(),
      offset: fc.integer({ min: 0, max: size }),
      length: fc.integer({ min: 0, max: size }),
    }),
    fc.record({
      kind: fc.constant("combine" as const),
      how: fc.constantFrom("merge", "intersect", "subtract", "xor"),
      lazy: fc.boolean(),
    }),
    fc.record({ kind: fc.constantFrom("clear" as const, "mark all" as const, "invert" as const) }),
    fc.record({ kind: fc.constant("regranulate" as const), granularity: fc.constantFrom(...GRANULARITIES) }),
    fc.record({
      kind: fc.constant("resize" as const),
      size: fc.oneof(fc.constant(size), fc.integer({ min: 1, max: size * 2 })),
      area: fc.constantFrom("dirty" as const, "clean" as const),
    }),
  );

/** Does a step on the model; undefined if the step is not possible. */
function plainly(plain: Plain, source: Plain, made: Step): Plain | undefined {
  const { size, granularity } = plain;
  const bits = plain.bits.slice();
  switch (made.kind) {
    case "range": {
      const offset = Math.min(made.offset, size);
      const end = Math.min(offset + made.length, size);
      for (const bit of bits.keys()) {
        const [first, last] = [bit * granularity, Math.min((bit + 1) * granularity, size)];
        const isIn = made.value ? first < end && last > offset : first >= offset && last <= end;
        if (isIn && offset < end) bits[bit] = made.value ? 1 : 0;
      }
      return { ...plain, bits };
    }
    case "combine": {
      if (source.size !== size || (made.how === "xor" && source.granularity !== granularity)) return undefined;
      const combine = COMBINE[made.how];
      return {
        ...plain,
        bits: bits.map((bit, at) => combine?.(bit, inSource(plain, at, source, made.how === "subtract")) ?? 9),
      };
    }
    case "clear":
      return { ...plain, bits: bits.fill(0) };
    case "mark all":
      return { ...plain, bits: bits.fill(1) };
    case "invert":
      return { ...plain, bits: bits.map((bit) => 1 - bit) };
    case "regranulate": {
      if (bitsOf(size, made.granularity) > 60_000) return undefined;
      const next = { size, granularity: made.granularity, bits: new Uint8Array(bitsOf(size, made.granularity)) };
      return { ...next, bits: next.bits.map((_, bit) => inSource(next, bit, plain, false)) };
    }
    case "resize": {
      const count = bitsOf(made.size, granularity);
      if (count > 60_000) return undefined;
      const next = new Uint8Array(count);
      next.set(bits.subarray(0, count));
      if (made.size > size && made.area === "dirty") next.fill(1, Math.floor(size / granularity));
      return { size: made.size, granularity, bits: next };
    }
  }
}

function perform(edits: Edits, made: Step, source: Bitmap, { size }: BitmapShape): ReturnType<Edits["mark"]> {
  switch (made.kind) {
    case "range": {
      const offset = Math.min(made.offset, Number(size));
      const range = { offset, length: Math.min(made.length, Number(size) - offset) };
      return made.value ? edits.mark("a", range) : edits.unmark("a", range);
    }
    case "combine": {
      const from = made.lazy ? edits.source("b") : source;
      return edits[made.how as "merge"]("a", from);
    }
    case "clear":
      return edits.clear("a");
    case "mark all":
      edits.markAll("a");
      return edits.mark("a", { offset: 0, length: 0 });
    case "invert":
      return edits.invert("a");
    case "regranulate":
      return edits.regranulate("a", made.granularity);
    case "resize":
      return edits.resize("a", made.size, made.area);
  }
}

const script = fc
  .constantFrom(1, 511, 512 * 4096, 512 * 4096 * 3 + 7, 512 * 40_000 - 1, 512 * 32_768, 2 ** 24 + 1)
  .chain((size) =>
    fc.record({
      target: plainOf(size),
      source: plainOf(size),
      steps: fc.array(step(size), { minLength: 1, maxLength: 6 }),
      clusterBits: fc.constantFrom(9, 10, 12),
      allOnes: fc.boolean(),
      commits: fc.array(fc.boolean(), { maxLength: 6 }),
      async: fc.boolean(),
      readsLater: fc.boolean(),
    }),
  );

test("pending bits and what is stored of them equal the plain model", async () => {
  await fc.assert(
    fc.asyncProperty(script, async ({ target, source, steps, clusterBits, allOnes, commits, async, readsLater }) => {
      const library = libraryBitmap(source);
      const file = fileOf({ a: libraryBitmap(target), b: library }, { clusterBits, allOnes });
      const memory = new MemoryStore(file);
      const editor = await openEditor(async ? asyncStore(memory) : memory, { readsLater });
      let plain = target;
      for (const [at, made] of steps.entries()) {
        const next = plainly(plain, source, made);
        if (next === undefined) continue;
        await editor.read(perform(editor.edits, made, library, editor.shape("a")));
        plain = next;
        const bits = editor.edits.source("a");
        const held = await editor.read(readClusterBits(bits, "a", {}));
        expect(held.equals(libraryBitmap(plain))).toBe(true);
        if (commits[at] === true) await editor.commit();
      }
      await editor.commit();
      const stored = await (await openEditor(new MemoryStore(memory.bytes))).bits("a");
      expect(stored.equals(libraryBitmap(plain))).toBe(true);
    }),
    { numRuns: 250 },
  );
});

test("actions that run at the same time are all done, each on the result of those before it", async () => {
  const shape = { size: 512 * 40_000, granularity: 512 };
  const stored = Bitmap.clean(shape);
  for (let bit = 0; bit < 40_000; bit += 37) stored.markBits({ first: bit, end: bit + 1 });
  const source = Bitmap.clean(shape);
  source.markBits({ first: 10, end: 30_000 });
  const editor = await openEditor(asyncStore(new MemoryStore(fileOf({ a: stored, b: source }))));
  const { edits } = editor;
  await Promise.all([
    editor.read(edits.merge("a", edits.source("b"))),
    editor.read(edits.mark("a", { offset: 512 * 35_001, length: 1 })),
    editor.read(edits.mark("a", { offset: 512 * 5, length: 1 })),
    editor.read(edits.unmark("a", { offset: 512 * 37 * 1000, length: 512 })),
  ]);
  const expected = stored.clone();
  expected.merge(source);
  expected.markBits({ first: 35_001, end: 35_002 });
  expected.markBits({ first: 5, end: 6 });
  expected.unmark({ offset: 512 * 37 * 1000, length: 512 });
  expect((await editor.bits("a")).equals(expected)).toBe(true);
});

test.each(["merge", "intersect", "subtract", "xor"] as const)(
  "a cluster that becomes another one while %s reads its source is combined as it is then",
  async (how) => {
    const shape = { size: 512 * 40_000, granularity: 512 };
    const source = Bitmap.clean(shape);
    for (let bit = 0; bit < 40_000; bit += 37) source.markBits({ first: bit, end: bit + 1 });
    for (const start of [Bitmap.clean(shape), Bitmap.dirty(shape)]) {
      const editor = await openEditor(asyncStore(new MemoryStore(fileOf({ a: start, b: source }))));
      const { edits } = editor;
      const range = { offset: 512 * 5, length: 512 * 10 };
      await Promise.all([
        editor.read(edits[how]("a", edits.source("b"))),
        editor.read(edits.mark("a", range)),
        editor.read(edits.unmark("a", { offset: 512 * 9000, length: 512 * 10 })),
      ]);
      // Whichever is done first, all are done.
      const after = (isFirst: boolean): Bitmap => {
        const bits = start.clone();
        if (isFirst) bits[how](source);
        bits.mark(range);
        bits.unmark({ offset: 512 * 9000, length: 512 * 10 });
        if (!isFirst) bits[how](source);
        return bits;
      };
      const found = await editor.bits("a");
      expect(found.equals(after(true)) || found.equals(after(false))).toBe(true);
    }
  },
);

test("a combination whose result is uniform takes no memory", async () => {
  const shape = { size: 512 * 400_000, granularity: 512 };
  const stored = Bitmap.clean(shape);
  for (let bit = 0; bit < 400_000; bit += 37) stored.markBits({ first: bit, end: bit + 1 });
  const store = new MemoryStore(fileOf({ a: stored }));
  const editor = await QdbEditor.open(store, { randomId: () => new Uint8Array(16), maxBitmapBytes: 4096 });
  await editor.read(editor.edits.subtract("a", Bitmap.dirty(shape)));
  await editor.commit();
  expect((await (await openEditor(store)).bits("a")).count()).toBe(0);
});

test("a mark of a bitmap that is merged back meanwhile is in its successor, or fails", async () => {
  const shape = { size: 512 * 40_000, granularity: 512 };
  const stored = Bitmap.clean(shape);
  for (let bit = 0; bit < 40_000; bit += 37) stored.markBits({ first: bit, end: bit + 1 });
  const editor = await openEditor(asyncStore(new MemoryStore(fileOf({ a: stored }))));
  const { edits } = editor;
  edits.freeze("a", "next");
  const released = editor.read(edits.release("a", "failed"));
  const marks = [5, 20_000, 39_990].map((bit) => editor.read(edits.mark("a", { offset: 512 * bit, length: 1 })));
  const results = await Promise.allSettled([released, ...marks]);
  const codes = results.map((result) => (result.status === "rejected" ? (result.reason as QdbError).code : "done"));
  const bits = await editor.bits("next");
  for (const [at, bit] of [5, 20_000, 39_990].entries()) {
    expect(["done", "NOT_FOUND"]).toContain(codes[at + 1]);
    if (codes[at + 1] === "done") expect(bits.isDirty(bit)).toBe(true);
  }
  expect(codes[0]).toBe("done");
});

test("a source is what it was when it was taken", async () => {
  const shape = { size: 512 * 40_000, granularity: 512 };
  const editor = await openEditor(new MemoryStore(fileOf({ a: Bitmap.clean(shape), b: Bitmap.clean(shape) })));
  await editor.read(editor.edits.mark("b", { offset: 0, length: 512 }));
  const source = editor.edits.source("b");
  await editor.read(editor.edits.mark("b", { offset: 512 * 9, length: 512 }));
  await editor.read(editor.edits.merge("a", source));
  const bits = await editor.bits("a");
  expect([bits.isDirty(0), bits.isDirty(9), bits.count()]).toEqual([true, false, 1]);
});

test("bits that do not fit the memory that is allowed are LIMIT, and what fits is changed", async () => {
  const shape = { size: 512 * 400_000, granularity: 512 };
  const stored = Bitmap.clean(shape);
  for (let bit = 0; bit < 400_000; bit += 37) stored.markBits({ first: bit, end: bit + 1 });
  const store = new MemoryStore(fileOf({ a: stored }));
  const editor = await QdbEditor.open(store, { randomId: () => new Uint8Array(16), maxBitmapBytes: 4096 });
  await editor.read(editor.edits.mark("a", { offset: 512, length: 512 }));
  await editor.read(editor.edits.mark("a", { offset: 512 * 399_990, length: 512 }));
  // Eight clusters of 512 bytes are held, of which two are already.
  const marks = [1, 2, 3, 4, 5, 6].map((cluster) => 4096 * cluster + 1);
  for (const first of marks) await editor.read(editor.edits.mark("a", { offset: 512 * first, length: 512 }));
  await expect(editor.read(editor.edits.mark("a", { offset: 512 * 50_000, length: 512 }))).rejects.toMatchObject({
    code: "LIMIT",
  });
  // Clusters that are computed are not held.
  for (let time = 0; time < 2; time++) await editor.read(editor.edits.invert("a"));
  await expect(editor.bits("a")).rejects.toMatchObject({ code: "LIMIT" });
  await editor.commit();
  const bits = await (await openEditor(store)).bits("a");
  for (const first of [1, ...marks]) stored.markBits({ first, end: first + 1 });
  stored.markBits({ first: 399_990, end: 399_991 });
  expect(bits.equals(stored)).toBe(true);
  expect(runSync(editor.edits.findChanges(), bytesSource(store.bytes))).toBeUndefined();
});

test("many combinations in one commit, of two bitmaps with each other, take time in proportion to their number", async () => {
  const size = 512 * 20_000;
  const start = { a: plain(size, [3, 5000]), b: plain(size, [7, 19_999]) };
  for (const readsLater of [false, true]) {
    const store = new MemoryStore(fileOf({ a: libraryBitmap(start.a), b: libraryBitmap(start.b) }));
    const editor = await openEditor(store, { readsLater });
    const { edits } = editor;
    const expected = { a: start.a.bits.slice(), b: start.b.bits.slice() };
    for (let round = 0; round < 300; round++) {
      const [to, from] = round % 2 === 0 ? (["a", "b"] as const) : (["b", "a"] as const);
      const how = round % 3 === 0 ? "xor" : "merge";
      await editor.read(edits[how](to, edits.source(from)));
      expected[to] = expected[to].map((bit, at) =>
        how === "xor" ? bit ^ Number(expected[from][at]) : bit | Number(expected[from][at]),
      );
      if (round % 50 === 0) await editor.read(edits.invert(to));
      if (round % 50 === 0) expected[to] = expected[to].map((bit) => 1 - bit);
    }
    await editor.commit();
    const stored = await openEditor(store);
    for (const name of ["a", "b"] as const) {
      const bits = await stored.bits(name);
      const wrong = expected[name].findIndex((bit, at) => bits.isDirty(at) !== (bit === 1));
      expect([readsLater, name, wrong]).toEqual([readsLater, name, -1]);
    }
  }
});

function plain(size: number, dirty: readonly number[]): Plain {
  const bits = new Uint8Array(bitsOf(size, 512));
  for (const bit of dirty) bits[bit] = 1;
  return { size, granularity: 512, bits };
}
