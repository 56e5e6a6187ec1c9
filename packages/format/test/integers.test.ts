// Every entry that takes a size, an offset or a length, given what is none: USAGE that names the argument, and nothing else.
import { Bitmap, bytesSource, ExtentBatch, QdbFile, readAll, readBitmap, readExtentMap } from "@qdb/format";
import {
  bitsInward,
  bitsOf,
  bitsOfShape,
  bitsOutward,
  bytesOfBits,
  editStore,
  encodeRecord,
  JsonLoader,
  readAllPlan,
  readIndex,
  runSync,
} from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { bitmap, fileOf, MemoryStore, openEditor } from "./store.ts";
import { errorOf, rejection } from "./support/errors.ts";

/** Values that are no size, offset or length; what TypeScript refuses among them too. */
const BAD: readonly unknown[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  0.5,
  -0.5,
  2 ** 53,
  "512",
  "",
  null,
  undefined,
  true,
  {},
  [512],
  Symbol("size"),
];
/** An undefined length of `within` is no mistake: it stands for the rest of the disk. */
const given = (length: never): never => (length === undefined ? (null as never) : length);
const NEGATIVE: readonly unknown[] = [-1, -1n, -512];

const SHAPE = { size: 10_240n, granularity: 512 };
const bits = (): Bitmap => Bitmap.dirty(SHAPE);

type Call = (value: never) => unknown;

/** Entries that take a size or a range of a disk, by the argument that is wrong. */
const BYTES: Readonly<Record<string, Call>> = {
  "size of Bitmap.clean": (size) => Bitmap.clean({ size, granularity: 512 }),
  "size of Bitmap.dirty": (size) => Bitmap.dirty({ size, granularity: 512 }),
  "size of Bitmap.fromBytes": (size) => Bitmap.fromBytes(new Uint8Array(1), { size, granularity: 512 }),
  "size of bitsOfShape": (size) => bitsOfShape({ size, granularity: 512 }),
  "size of resize": (size) => bits().resize(size),
  "offset of mark": (offset) => bits().mark({ offset, length: 1 }),
  "length of mark": (length) => bits().mark({ offset: 1, length }),
  "offset of unmark": (offset) => bits().unmark({ offset, length: 1 }),
  "length of unmark": (length) => bits().unmark({ offset: 1, length }),
  "offset of batches": (offset) => [...bits().batches({ within: { offset, length: 1 } })],
  "length of batches": (length) => [...bits().batches({ within: { offset: 1, length: given(length) } })],
  "offset of bitsInward": (offset) => bitsInward({ offset, length: 1 }, SHAPE),
  "length of bitsOutward": (length) => bitsOutward({ offset: 1, length }, SHAPE),
  "length of encodeRecord": (length) => encodeRecord({ kind: "stamp", stamp: { length, mtime: 0n, file: 0n } }),
};

/** Entries that take numbers of bits or bytes in memory, or sizes of which the caller has checked the sign. */
const NUMBERS: Readonly<Record<string, Call>> = {
  "size of bitsOf": (size) => bitsOf(size, 512),
  "size of bitsInward": (size) => bitsInward({ offset: 1, length: 1 }, { size, granularity: 512 }),
  "size of bitsOutward": (size) => bitsOutward({ offset: 1, length: 1 }, { size, granularity: 512 }),
  "size of bytesOfBits": (size) => bytesOfBits({ first: 0, end: 1 }, { size, granularity: 512 }),
  "first of bytesOfBits": (first) => bytesOfBits({ first, end: 1 }, SHAPE),
  "end of bytesOfBits": (end) => bytesOfBits({ first: 0, end }, SHAPE),
  "start of bytesAt": (start) => bits().bytesAt(start, 1),
  "length of bytesAt": (length) => bits().bytesAt(0, length),
  "start of viewAt": (start) => bits().viewAt(start, 1),
  "length of viewAt": (length) => bits().viewAt(0, length),
  "base of mergeWordsAt": (base) => bits().mergeWordsAt(base, Uint32Array.of(1)),
  "start of ExtentBatch": (start) => new ExtentBatch(SHAPE, new Uint32Array(0), start === undefined ? null! : start),
  "created of encodeRecord": (ns) => encodeRecord({ kind: "created", ns }),
  "mtime of encodeRecord": (mtime) => encodeRecord({ kind: "stamp", stamp: { length: 0n, mtime, file: 0n } }),
};

/** Entries that take the number of a bit, which need not be one of the bitmap. */
const BIT_NUMBERS: Readonly<Record<string, Call>> = {
  "bit of isDirty": (bit) => bits().isDirty(bit),
  "first of markBits": (first) => bits().markBits({ first, end: 5 }),
};

const where = (name: string): string => name.replace(/ .*/, "");

describe("values that are no integer", () => {
  test.each(Object.entries({ ...BYTES, ...NUMBERS }))("%s", (name, call) => {
    for (const value of BAD) {
      const error = errorOf(() => call(value as never));
      expect([error.code, error.where.field], String(value)).toEqual(["USAGE", where(name)]);
    }
  });

  test.each(Object.entries(BIT_NUMBERS))("%s", (name, call) => {
    // Every float from 2^52 on is an integer.
    for (const value of BAD.filter((bad) => bad !== 2 ** 53)) {
      const error = errorOf(() => call(value as never));
      expect([error.code, error.where.field], String(value)).toEqual(["USAGE", where(name)]);
    }
  });

  test.each(["nextDirty", "nextClean"] as const)("first of %s", (how) => {
    for (const value of BAD.filter((bad) => bad !== 2 ** 53 && bad !== undefined))
      expect(errorOf(() => bits()[how](value as never)).where.field).toBe("first");
  });

  test.each(["512", 512n, null, undefined, {}, [512], Symbol("512")])("granularity %s", (granularity) => {
    const shape = { size: 1024n, granularity: granularity as unknown as number };
    expect(errorOf(() => Bitmap.clean(shape)).code).toBe("USAGE");
    expect(errorOf(() => bits().regranulate(shape.granularity)).code).toBe("USAGE");
  });
});

test.each(Object.entries(BYTES))("values that are negative: %s", (name, call) => {
  for (const value of NEGATIVE) {
    const error = errorOf(() => call(value as never));
    expect([error.code, error.where.field], String(value)).toEqual(["USAGE", where(name)]);
  }
});

describe("of a file", () => {
  test.each([...BAD, ...NEGATIVE].map((value) => [String(value), value]))("%s is USAGE", async (_, value) => {
    const bad = value as never;
    const bytes = fileOf({ a: bitmap(20, [3]) });
    const store = new MemoryStore(bytes);
    const { edits } = await openEditor(store);
    for (const [name, plan] of Object.entries({
      offset: () => edits.mark("a", { offset: bad, length: 1 }),
      length: () => edits.unmark("a", { offset: 0, length: bad }),
      size: () => edits.resize("a", bad, "clean"),
    })) {
      const error = errorOf(() => runSync(plan(), store));
      expect([error.code, error.where.field]).toEqual(["USAGE", name]);
    }
    expect(runSync(edits.findChanges(), store)).toBeUndefined();
    const file = await QdbFile.open(bytesSource(bytes));
    for (const within of [
      { offset: bad, length: 1 },
      { offset: 0, length: given(bad) },
    ]) {
      expect((await rejection(() => file.bitmap("a").count({ within }))).code).toBe("USAGE");
      expect((await rejection(() => file.bitmap("a").batches({ within }).next())).code).toBe("USAGE");
    }
  });
});

describe("limits that are no number of bytes or things", () => {
  // A comparison with NaN is false, so such a limit would let everything pass.
  const bad = [...BAD, ...NEGATIVE].filter((value) => value !== undefined && value !== Number.POSITIVE_INFINITY);
  const bytes = fileOf({ a: bitmap(20, [3]) });
  const opened = (maxBitmapBytes: number) => QdbFile.open(bytesSource(bytes), { maxBitmapBytes });
  const ids = { fileId: new Uint8Array(16), writerId: new Uint8Array(16) };
  /** Calls that end well if the limit is large enough, by the limit. */
  const calls: [name: string, call: (limit: number) => unknown][] = [
    ["maxBitmapBytes of read", async (limit) => readBitmap((await opened(limit)).bitmap("a"))],
    ["maxBitmapBytes of readAll", async (limit) => readAll(await opened(limit))],
    [
      "maxBitmapBytes of readAllPlan",
      async (limit) => {
        const source = bytesSource(bytes);
        return runSync(readAllPlan(runSync(readIndex(source.size), source), {}, { maxBitmapBytes: limit }), source);
      },
    ],
    [
      "maxBitmapBytes of JsonLoader",
      async (limit) => new JsonLoader({ ...ids, newBits: Bitmap.clean, maxBitmapBytes: limit }),
    ],
    [
      "maxBitmapBytes of editStore",
      (limit) => {
        const options = { randomId: () => new Uint8Array(16), maxBitmapBytes: limit };
        return editStore(new MemoryStore(bytes), (edit) => edit.bitmap("a").read(), options);
      },
    ],
    [
      "maxRepairBytes of repair",
      async (limit) => {
        const damaged = bytes.slice();
        damaged[bytes.length - 1] = 1;
        return (await openEditor(new MemoryStore(damaged), { repair: true, maxRepairBytes: limit })).repair();
      },
    ],
    [
      "holdBytes of batches",
      async (limit) => {
        for await (const _ of (await opened(2 ** 20)).bitmap("a").batches({ holdBytes: limit }));
      },
    ],
    ["maxExtents of readExtentMap", (limit) => readExtentMap("[]", { maxExtents: limit })],
  ];

  test.each(calls)("%s", async (name, call) => {
    for (const value of bad) {
      const error = await rejection(async () => call(value as never));
      expect([error.code, error.where.field], String(value)).toEqual(["USAGE", where(name)]);
    }
    await call(2 ** 20);
    // No limit at all.
    await call(Number.POSITIVE_INFINITY);
  });
});

test("whole numbers below 2^53 are sizes as bigints are", () => {
  const made = Bitmap.clean({ size: 10_240, granularity: 512 });
  expect(made.size).toBe(10_240n);
  expect(made.equals(Bitmap.clean(SHAPE))).toBe(true);
  expect(made.resize(513).size).toBe(513n);
  expect(made.resize(20_000).count()).toBe(20);
  expect(bitsOfShape({ size: 513, granularity: 512 })).toBe(2);
  expect(bitsOf(513, 512)).toBe(2n);
  // The end of the disk cuts the last granule.
  expect(bitsInward({ offset: 0, length: 513 }, { size: 513, granularity: 512 })).toEqual({ first: 0, end: 2 });
  expect(bytesOfBits({ first: 1, end: 2 }, { size: 513, granularity: 512 })).toEqual({ offset: 512n, length: 1n });
});

test("numbers of a record that do not fit its field are USAGE", () => {
  const stamp = { length: 0n, mtime: 0n, file: 0n };
  expect(errorOf(() => encodeRecord({ kind: "stamp", stamp: { ...stamp, length: 2n ** 64n } })).code).toBe("USAGE");
  expect(errorOf(() => encodeRecord({ kind: "stamp", stamp: { ...stamp, file: -1n } })).code).toBe("USAGE");
  expect(errorOf(() => encodeRecord({ kind: "stamp", stamp: { ...stamp, mtime: 2n ** 63n } })).code).toBe("USAGE");
  expect(errorOf(() => encodeRecord({ kind: "created", ns: -(2n ** 63n) - 1n })).code).toBe("USAGE");
  expect(encodeRecord({ kind: "created", ns: -1n }).data).toEqual(new Uint8Array(8).fill(0xff));
});
