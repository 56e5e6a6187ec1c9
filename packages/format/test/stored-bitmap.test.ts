// The handle on a bitmap of an open file: what it says of the table, its extents one by one, and the file that closes itself.
import { type AnySource, Bitmap, bytesSource, countAll, QdbFile, readBitmap } from "@qdb/format";
import { expect, test } from "vitest";
import { be, bits, file, hex, join, tlv, utf8 } from "./hand.ts";
import { ZLIB } from "./store.ts";

const SIZE = 5n * 512n + 100n;
const ID = "0c0ffee0-0000-4000-8000-000000000001";
const RECORDS = join(
  tlv(1, utf8("/vm.raw")),
  tlv(2, join(be(2660, 8), be(1_700_000_000_000_000_001n, 8), be(7, 8))),
  tlv(3, hex(ID.replaceAll("-", ""))),
  tlv(4, hex("0c0ffee0000040008000000000000000")),
  tlv(5, be(1_414_000_000_000_000_000n, 8)),
  tlv(6, utf8("nightly")),
);

const FILE = file({
  bitmaps: [
    { name: "daily", size: SIZE, granularity: 512, flags: 1, extra: RECORDS, clusters: [bits(512, 0, 1, 5)] },
    { name: "off", size: SIZE, granularity: 512, clusters: ["zeros"] },
    { name: "cold", size: SIZE, granularity: 512, flags: 4, extra: tlv(8, utf8("off")), clusters: ["zeros"] },
    { name: "used", size: SIZE, granularity: 512, flags: 3, clusters: ["zeros"] },
    { name: "new", size: SIZE, granularity: 512, flags: 8, clusters: ["zeros"] },
    { name: hex("ff"), size: SIZE, granularity: 512, extra: join(tlv(1, hex("ff")), tlv(2, hex("00"))), clusters: [] },
  ],
});

const open = (source: AnySource = bytesSource(FILE)) => QdbFile.open(source, { digests: ZLIB });

test("the fields of a bitmap, in the words of `qdb info`", async () => {
  const bitmap = (await open()).bitmap("daily");
  expect(bitmap).toMatchObject({
    name: "daily",
    label: "daily",
    size: SIZE,
    granularity: 512,
    enabled: true,
    inUse: false,
    frozen: false,
    state: "ok",
    problem: undefined,
    disk: "/vm.raw",
    diskStamp: { length: 2660n, mtime: 1_700_000_000_000_000_001n, file: 7n },
    id: ID,
    parent: "0c0ffee0-0000-4000-8000-000000000000",
    created: 1_414_000_000_000_000_000n,
    comment: "nightly",
    successor: undefined,
  });
  expect(Bitmap.clean(bitmap)).toMatchObject({ size: SIZE, granularity: 512, bitCount: 6 });
});

test("the states of bitmaps, and their first problems", async () => {
  const { bitmaps } = await open();
  expect(bitmaps.map(({ label, state, problem, enabled }) => [label, state, problem?.code, enabled])).toEqual([
    ["daily", "ok", undefined, true],
    ["off", "disabled", undefined, false],
    ["cold", "frozen", undefined, false],
    ["used", "inconsistent", "INCONSISTENT", true],
    ["new", "unsupported", "UNSUPPORTED_FEATURE", false],
    ["hex:ff", "corrupt", "BAD_FIELD", false],
  ]);
  expect(bitmaps[2]).toMatchObject({ frozen: true, successor: "off" });
  expect(bitmaps[3]).toMatchObject({ inUse: true });
  // Records that break the rules of their types say nothing.
  expect(bitmaps[5]).toMatchObject({ name: undefined, disk: undefined, diskStamp: undefined });
});

test("extents, one by one and in batches, clipped to the disk and to the range asked for", async () => {
  const bitmap = (await open()).bitmap("daily");
  const all = async (options = {}) => {
    const extents = [];
    const batched = [];
    for await (const extent of bitmap.extents(options)) extents.push(extent);
    for await (const batch of bitmap.batches(options)) batched.push(...batch.rangesBig());
    expect(batched).toEqual(extents);
    return extents;
  };
  expect(await all()).toEqual([
    { offset: 0n, length: 1024n },
    { offset: 2560n, length: 100n },
  ]);
  expect(await all({ within: { offset: 1000, length: 1561n } })).toEqual([
    { offset: 1000n, length: 24n },
    { offset: 2560n, length: 1n },
  ]);
  const bitsRead = await readBitmap(bitmap);
  expect([...bitsRead.extents()]).toEqual(await all());
});

test("a file closes itself at the end of the block", async () => {
  let closed = 0;
  const source = { ...bytesSource(FILE), close: () => void closed++ };
  {
    await using opened = await open(source);
    expect((await opened.bitmap("daily").count()).bits).toBe(3);
    expect(closed).toBe(0);
  }
  expect(closed).toBe(1);
});

test("a part of the disk without a length reaches to its end", async () => {
  const bitmap = (await open()).bitmap("daily");
  const within = { offset: 600 };
  const extents = [];
  for await (const extent of bitmap.extents({ within })) extents.push(extent);
  const expected = [
    { offset: 600n, length: 424n },
    { offset: 2560n, length: 100n },
  ];
  expect(extents).toEqual(expected);
  expect(await bitmap.count({ within })).toEqual({ bits: 2, bytes: 524n });
  expect([...(await readBitmap(bitmap)).extents({ within })]).toEqual(expected);
  expect(await bitmap.count({ within: { offset: SIZE } })).toEqual({ bits: 0, bytes: 0n });
  await expect(bitmap.count({ within: { offset: SIZE + 1n } })).rejects.toMatchObject({ code: "USAGE" });
});

test("a counted bitmap has the fields of a stored one, and its first problem, also of its data", async () => {
  const damaged = FILE.slice();
  const opened = await open(bytesSource(FILE));
  expect(opened.generation).toBe(1n);
  const [first] = (await countAll(opened)).filter(({ name }) => name === "daily");
  expect(first).toMatchObject({ label: "daily", size: SIZE, granularity: 512, comment: "nightly", state: "ok" });
  expect(first?.problem).toBeUndefined();
  expect(first?.dirty).toEqual({ bits: 3, bytes: 1124n });
  const offset = first?.map?.offset(0);
  if (offset === undefined) throw new Error("no cluster");
  damaged[offset] = 0xff;
  const [broken] = (await countAll(await open(bytesSource(damaged)))).filter(({ name }) => name === "daily");
  expect([broken?.problem?.code, broken?.dirty]).toEqual(["BAD_CHECKSUM", undefined]);
});
