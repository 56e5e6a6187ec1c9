// The hook `beforeBits`: which calls ask it, when, and what happens if it refuses.
import {
  bytesSource,
  checkQdb,
  countAll,
  dumpQdb,
  extentsOfAll,
  QdbError,
  QdbFile,
  readAll,
  readBitmap,
  type StoredBitmap,
} from "@qdb/format";
import { QdbEditor, type RequestedBitmap } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { bits, file, tlv, utf8 } from "./hand.ts";
import { ids, MemoryStore, ZLIB } from "./store.ts";
import { rejection } from "./support/errors.ts";

/** Clusters of 512 bytes with one dirty bit in eight, so that each yields 512 extents. */
const comb = bits(512, ...Array.from({ length: 512 }, (_, at) => at * 8));
const shape = { size: 2n * 4096n * 512n, granularity: 512 };

const FILE = file({
  header: { incompatible: 1n },
  bitmaps: [
    { name: "moved", ...shape, extra: tlv(1, utf8("/vm.raw")), clusters: [comb, comb] },
    { name: "same", ...shape, clusters: ["zeros", "ones"] },
    { name: "damaged", ...shape, extra: tlv(1, utf8("/vm.raw")), clusters: [comb, { data: comb, crc: 1 }] },
  ],
});

/** Refuses the bitmaps that have a record. `asked` has what it was called with. */
function refusing() {
  const asked: RequestedBitmap[] = [];
  const beforeBits = async (bitmap: RequestedBitmap): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    asked.push(bitmap);
    if (bitmap.records?.length !== 0)
      throw new QdbError("WRONG_DISK", "the disk has changed", { bitmap: bitmap.label });
  };
  return { asked, beforeBits };
}

const open = (beforeBits: ReturnType<typeof refusing>["beforeBits"]) =>
  QdbFile.open(bytesSource(FILE), { digests: ZLIB, beforeBits });

/** The calls that give out bits of one bitmap; `left` gets each batch. */
const READERS: readonly (readonly [name: string, read: (bitmap: StoredBitmap, left: unknown[]) => Promise<unknown>])[] =
  [
    ["read", (bitmap) => readBitmap(bitmap)],
    ["count", (bitmap) => bitmap.count()],
    ["count of a range", (bitmap) => bitmap.count({ within: { offset: 0, length: 1 } })],
    ["extents", (bitmap, left) => drain(bitmap.extents(), left)],
    ["batches", (bitmap, left) => drain(bitmap.batches(), left)],
    ["batches of a clean range", (bitmap, left) => drain(bitmap.batches({ within: { offset: 0, length: 0 } }), left)],
    ["batches that leave at once", (bitmap, left) => drain(bitmap.batches({ holdBytes: 0 }), left)],
  ];

async function drain(batches: AsyncIterable<unknown>, left: unknown[]): Promise<void> {
  for await (const batch of batches) left.push(batch);
}

describe.each(READERS)("%s", (_, read) => {
  test("is refused by the hook, which gets name and records, and no bit leaves", async () => {
    const { asked, beforeBits } = refusing();
    const file = await open(beforeBits);
    const left: unknown[] = [];
    expect((await rejection(() => read(file.bitmap("moved"), left))).code).toBe("WRONG_DISK");
    expect(left).toEqual([]);
    expect(asked).toEqual([{ label: "moved", records: [{ type: 1, data: utf8("/vm.raw") }] }]);
    await read(file.bitmap("same"), left);
    expect(asked.map(({ label }) => label)).toEqual(["moved", "same"]);
  });
});

// Reading a range touches the bits of that range only.
test.each(READERS.filter(([name]) => !name.includes("range")))(
  "%s: damage of the data comes before a refusal (QDB-ERR-025)",
  async (_, read) => {
    const file = await open(refusing().beforeBits);
    const left: unknown[] = [];
    expect((await rejection(() => read(file.bitmap("damaged"), left))).code).toBe("BAD_CHECKSUM");
    expect(left).toEqual([]);
  },
);

test("readAll and extentsOfAll: a refused bitmap has its problem in place of bits, the others are read", async () => {
  const file = await open(refusing().beforeBits);
  const loaded = await readAll(file);
  expect(loaded.map(({ bitmap, problem }) => [bitmap?.count(), problem?.code])).toEqual([
    [undefined, "WRONG_DISK"],
    [4096, undefined],
    [undefined, "BAD_CHECKSUM"],
  ]);
  const shown: string[] = [];
  const mapped = await extentsOfAll(
    file,
    () =>
      ({ label }) =>
        void shown.push(label),
  );
  expect(mapped.map((one) => one.findProblem()?.code)).toEqual(["WRONG_DISK", undefined, "BAD_CHECKSUM"]);
  expect(new Set(shown)).toEqual(new Set(["same"]));
});

test("facts about the file are not refused: the counts of all bitmaps, the JSON form, a check", async () => {
  const { asked, beforeBits } = refusing();
  const file = await open(beforeBits);
  expect((await countAll(file)).map(({ dirty }) => dirty?.bits)).toEqual([1024, 4096, undefined]);
  let text = "";
  for await (const piece of dumpQdb(file)) text += piece;
  expect(JSON.parse(text).bitmaps[0].dirty[0]).toEqual(["0", "512"]);
  const options = { digests: ZLIB, beforeBits };
  const codes: string[] = [];
  for await (const { code } of checkQdb(bytesSource(FILE), options)) codes.push(code);
  expect(codes).toContain("BAD_CHECKSUM");
  expect(asked).toEqual([]);
});

test("an editor asks it for the source of a merge, not for the bitmap that a change is made to", async () => {
  const { asked, beforeBits } = refusing();
  const editor = await QdbEditor.open(new MemoryStore(FILE), { digests: ZLIB, randomId: ids(), beforeBits });
  expect((await rejection(() => editor.bits("moved"))).code).toBe("WRONG_DISK");
  expect((await editor.bits("same")).count()).toBe(4096);
  expect(asked.map(({ label }) => label)).toEqual(["moved", "same"]);
  await editor.change("moved", (changed) => changed);
  editor.edits.rename("moved", "renamed");
  expect((await rejection(() => editor.bits("renamed"))).code).toBe("WRONG_DISK");
});

test("an error of the hook that is no QdbError is thrown by every call", async () => {
  const broken = new TypeError("a bug");
  const file = await QdbFile.open(bytesSource(FILE), {
    digests: ZLIB,
    beforeBits: () => {
      throw broken;
    },
  });
  for (const call of [() => readAll(file), () => extentsOfAll(file, () => () => undefined)]) {
    await expect(call()).rejects.toBe(broken);
  }
});
