// Sessions of a bitmap: how they begin and end, what is refused, and who never has one. Files are made by hand.
import { Bitmap, type BitmapEdit, bytesSource, QdbFile, readBitmap } from "@qdb/format";
import { type BitmapSession, editStore, type QdbEditor, RECORD } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { be, type HandBitmap, file as handFile, hex, join, rep, tlv } from "./hand.ts";
import { asyncStore, bitmap, fileOf, hexOf, ids, MemoryStore, openEditor, random, utf8, view, ZLIB } from "./store.ts";
import { rejection } from "./support/errors.ts";

const SESSION: BitmapSession = { id: "7d444840-9dc0-11d1-b245-5ffdce74fad2", file: 2n ** 53n + 1n };
const DATA = hex("7d444840 9dc0 11d1 b245 5ffdce74fad2 0020000000000001");
const ID = tlv(RECORD.id, hex("0f1e2d3c 4b5a 6978 8796 a5b4c3d2e1f0"));
const STAMP = tlv(RECORD.stamp, join(be(32768, 8), be(5, 8), be(7, 8)));
const RECORD_9 = tlv(9, DATA);
/** 64 granules of 512 bytes, of which 0 and 8 are dirty. */
const A = { name: "a", size: 32768n, granularity: 512, flags: 3, clusters: [hex("01 01")] } as const;

/** A file with bitmap `a`, in the session unless told otherwise, and a disabled bitmap `b` of twice the granularity: granule 3 is dirty. */
function start(over: Partial<HandBitmap> = {}, file: { readonly draft?: boolean } = {}): Uint8Array {
  const b: HandBitmap = { ...A, name: "b", granularity: 1024, flags: 0, clusters: [hex("08")] };
  return handFile({ ...file, bitmaps: [{ ...A, extra: join(ID, RECORD_9), ...over }, b] });
}

/** What the file at `store` says of a bitmap: flags, records in hex, and bits in hex, `-` if they are refused. */
async function stateOf(store: MemoryStore, name = "a"): Promise<readonly [number, string, string]> {
  const file = await QdbFile.open(bytesSource(store.bytes), { digests: ZLIB });
  const stored = file.bitmap(name);
  const { flags } = stored.entry.decodeFields();
  const bits = stored.problem === undefined ? hexOf((await readBitmap(stored)).toBytes()) : "-";
  return [flags, hexOf(stored.entry.extraData), bits];
}

const HOST = { digests: ZLIB, randomId: ids() };

function edit(store: MemoryStore, change: (bitmap: BitmapEdit) => void): Promise<void> {
  return editStore(store, (one) => change(one.bitmap("a")), HOST);
}

/** Bits of 2048 bytes: granule 15 of 16, and with it the granules 60 to 63 of `a`. */
const COLLECTED = bitmap(16, [15], 2048);
const ENDED = "01010000000000f0";

test("a session begins: in_use and the record, and the bits stay", async () => {
  const store = new MemoryStore(start({ flags: 1, extra: ID }));
  await edit(store, (one) => one.beginSession(SESSION));
  expect(await stateOf(store)).toEqual([3, hexOf(join(ID, RECORD_9)), "-"]);
  const file = await QdbFile.open(bytesSource(store.bytes), { digests: ZLIB });
  expect(file.bitmap("a")).toMatchObject({ session: SESSION, inUse: true, state: "inconsistent" });
  expect(file.bitmap("a").problem?.message).toMatch(/import the shell/);
  expect(file.bitmap("b").session).toBeUndefined();
  await edit(store, (one) => one.endSession(SESSION, Bitmap.clean(A)));
  expect(await stateOf(store)).toEqual([1, hexOf(ID), "0101000000000000"]);
});

describe.each([
  ["a store", (store: MemoryStore) => store],
  ["an asynchronous store", asyncStore],
])("the end of a session, %s", (_, make) => {
  test("adds the bits that were collected, rounded outward, and keeps the ids", async () => {
    const store = new MemoryStore(start({ extra: join(ID, STAMP, RECORD_9) }));
    await editStore(make(store), (one) => one.bitmap("a").endSession(SESSION, COLLECTED), HOST);
    expect(await stateOf(store)).toEqual([1, hexOf(join(ID, STAMP)), ENDED]);
  });

  test("sets a new disk stamp if one is given", async () => {
    const store = new MemoryStore(start({ extra: join(STAMP, RECORD_9) }));
    const diskStamp = { length: 32768n, mtime: 6n, file: 8n };
    await editStore(make(store), (one) => one.bitmap("a").endSession(SESSION, COLLECTED, { diskStamp }), HOST);
    const stamp = tlv(RECORD.stamp, join(be(32768, 8), be(6, 8), be(8, 8)));
    expect(await stateOf(store)).toEqual([1, hexOf(stamp), ENDED]);
  });
});

test("random bits, shells of any granularity, and other changes between begin and end", async () => {
  const dice = random(9);
  const roll = (count: number): number => Math.floor(dice() * count);
  for (let round = 0; round < 60; round++) {
    const size = 65536 * (1 + roll(40)) - roll(3) * 100;
    const [stored, collected] = [0, 0].map(() => {
      const bits = Bitmap.clean({ size, granularity: 512 << roll(8) });
      for (let count = roll(12); count > 0; count--) {
        const offset = roll(size);
        bits.mark({ offset, length: 1 + roll(Math.min(size - offset, 1 << roll(20))) });
      }
      return bits;
    });
    if (stored === undefined || collected === undefined) throw new Error("two bitmaps are made");
    const store = new MemoryStore(fileOf({ b: bitmap(9), a: stored }));
    await edit(store, (one) => one.enable());
    await edit(store, (one) => one.beginSession(SESSION));
    await editStore(store, (one) => one.bitmap("b").mark({ offset: 512 * roll(9), length: 1 }), HOST);
    await edit(store, (one) => one.endSession(SESSION, collected));
    const dirty = new Set<number>();
    const { granularity } = stored;
    for (const bits of [stored, collected])
      for (const { offset, length } of bits.extents())
        for (let at = Math.floor(Number(offset) / granularity); at * granularity < Number(offset + length); at++)
          dirty.add(at);
    const bytes = new Uint8Array(Math.ceil(Math.ceil(size / granularity) / 8));
    for (const bit of dirty) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    expect(await stateOf(store), `round ${round}`).toEqual([1, "", hexOf(bytes)]);
  }
});

test("the bits of a file in draft form are added too; it is rewritten whole", async () => {
  const store = new MemoryStore(start({}, { draft: true }));
  await edit(store, (one) => one.endSession(SESSION, COLLECTED));
  expect(await stateOf(store)).toEqual([1, hexOf(ID), ENDED]);
  expect((await stateOf(store, "b"))[2]).toBe("08000000");
});

test("a session ends between other changes of the same commit", async () => {
  const store = new MemoryStore(start());
  await edit(store, (one) => {
    one.set({ comment: "noted" });
    one.endSession(SESSION, COLLECTED);
    one.mark({ offset: 512, length: 1 });
    one.rename("c");
  });
  expect((await stateOf(store, "c"))[2]).toBe("03010000000000f0");
});

const OTHER = { ...SESSION, id: "7d444840-9dc0-11d1-b245-5ffdce74fad3" };
const broken = tlv(9, join(DATA.subarray(0, 16), rep(0, 8)));

test.each<readonly [string, Partial<HandBitmap>, BitmapSession, Bitmap, string, RegExp]>([
  ["another UUID", {}, OTHER, COLLECTED, "INCONSISTENT", /mark everything dirty/],
  ["another shell", {}, { ...SESSION, file: 2n ** 53n }, COLLECTED, "INCONSISTENT", /inode 9007199254740993/],
  ["no session", { extra: ID }, SESSION, COLLECTED, "INCONSISTENT", /without a session/],
  ["a broken session", { extra: broken }, SESSION, COLLECTED, "INCONSISTENT", /without a session/],
  ["no in_use", { extra: ID, flags: 1 }, SESSION, COLLECTED, "USAGE", /in no session/],
  ["another size", {}, SESSION, bitmap(15, [3], 2048), "SIZE_MISMATCH", /mark everything dirty/],
  ["another error", { reserved: 1 }, SESSION, COLLECTED, "RESERVED_NOT_ZERO", /reserved/],
  ["a damaged L1 area", { l1Checksum: 1 }, SESSION, COLLECTED, "INCONSISTENT", /mark everything dirty/],
])("%s is refused at the end, and nothing is changed", async (_, over, session, bits, code, message) => {
  const bytes = start(over);
  const store = new MemoryStore(bytes.slice());
  const error = await rejection(() => edit(store, (one) => one.endSession(session, bits)));
  expect([error.code, error.message, error.where.bitmap]).toEqual([code, expect.stringMatching(message), "a"]);
  expect(hexOf(store.bytes)).toBe(hexOf(bytes));
});

test.each<readonly [string, Partial<HandBitmap>, string, RegExp]>([
  ["in a session", {}, "INCONSISTENT", /import the shell/],
  ["in use", { extra: ID }, "INCONSISTENT", /only the collector/],
  ["not enabled", { flags: 0, extra: ID }, "USAGE", /enable it first/],
  ["with a session that stayed behind", { flags: 1 }, "BAD_FIELD", /mark everything dirty/],
  ["in error", { flags: 1, extra: ID, reserved: 1 }, "RESERVED_NOT_ZERO", /reserved/],
])("no session begins of a bitmap %s", async (_, over, code, message) => {
  const store = new MemoryStore(start(over));
  const error = await rejection(() => edit(store, (one) => one.beginSession(SESSION)));
  expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
});

test("no session begins of a frozen bitmap", async () => {
  const frozen = { ...A, flags: 4, extra: tlv(RECORD.successor, utf8("s")) };
  const store = new MemoryStore(handFile({ bitmaps: [frozen, { ...A, name: "s", flags: 1 }] }));
  const error = await rejection(() => edit(store, (one) => one.beginSession(SESSION)));
  expect([error.code, error.message]).toEqual(["USAGE", expect.stringMatching(/frozen/)]);
});

test("a session that the format does not allow is refused at once", async () => {
  const store = new MemoryStore(start({ flags: 1, extra: ID }));
  for (const wrong of [
    { ...SESSION, id: "none" },
    { ...SESSION, file: 0n },
    { ...SESSION, file: 2n ** 64n },
  ]) {
    for (const call of [
      (one: BitmapEdit) => one.beginSession(wrong),
      (one: BitmapEdit) => one.endSession(wrong, COLLECTED),
    ])
      expect((await rejection(() => edit(store, call))).code).toBe("USAGE");
  }
});

test("an end that fails leaves bits that nobody may read", async () => {
  const editor = await openEditor(new MemoryStore(start()));
  await rejection(() => editor.read(editor.edits.endSession("a", OTHER, COLLECTED)));
  await rejection(() => editor.read(editor.edits.endSession("a", SESSION, bitmap(1))));
  expect((await rejection(() => editor.bits("a"))).code).toBe("INCONSISTENT");
});

test("a damaged data cluster whose bits are needed is an error, and in_use stays", async () => {
  const bytes = start({ clusters: [{ data: hex("01 01"), crc: 1 }] });
  const store = new MemoryStore(bytes.slice());
  const error = await rejection(() => edit(store, (one) => one.endSession(SESSION, COLLECTED)));
  expect(error.code).toBe("BAD_CHECKSUM");
  expect(hexOf(store.bytes)).toBe(hexOf(bytes));
});

describe("an end whose bitmap is changed while its clusters are read", () => {
  /** Ends the session of `a`. `meanwhile` runs in the first read. */
  async function endWhile(
    meanwhile: (editor: QdbEditor) => void,
  ): Promise<[MemoryStore, QdbEditor, () => Promise<void>]> {
    const store = new MemoryStore(start());
    const editor = await openEditor(store);
    let isDue = true;
    store.before = ({ kind }) => {
      if (kind !== "read" || !isDue) return;
      isDue = false;
      meanwhile(editor);
    };
    const end = () => editor.read(editor.edits.endSession("a", SESSION, COLLECTED));
    return [store, editor, end];
  }

  test("is refused if the bitmap is removed", async () => {
    const [, , end] = await endWhile(({ edits }) => edits.remove("a"));
    expect((await rejection(end)).code).toBe("NOT_FOUND");
  });

  test("is refused if all is marked dirty, and the bits stay dirty", async () => {
    const [store, editor, end] = await endWhile(({ edits }) => edits.markAll("a"));
    expect((await rejection(end)).code).toBe("USAGE");
    await editor.commit();
    expect(await stateOf(store)).toEqual([1, hexOf(ID), "ff".repeat(8)]);
  });

  test("keeps that dirt if the session has begun again since", async () => {
    const [store, editor, end] = await endWhile(({ edits }) => {
      edits.markAll("a");
      edits.beginSession("a", SESSION);
    });
    await end();
    await editor.commit();
    expect(await stateOf(store)).toEqual([1, hexOf(ID), "ff".repeat(8)]);
  });
});

describe("in_use and the session go together", () => {
  test.each([
    ["a session", join(ID, RECORD_9), 3],
    ["a broken session", join(ID, broken), 3],
    ["a session without in_use", join(ID, RECORD_9), 1],
  ])("marking all dirty drops %s", async (_, extra, flags) => {
    const store = new MemoryStore(start({ extra, flags }));
    await edit(store, (one) => one.markAll());
    expect(await stateOf(store)).toEqual([1, hexOf(ID), "ff".repeat(8)]);
  });

  test("a bitmap that takes the place of one in a session has none", async () => {
    const store = new MemoryStore(start());
    await edit(store, (one) => one.replace({ size: 32768n, granularity: 512 }));
    const [flags, records] = await stateOf(store);
    expect([flags, records.includes(hexOf(DATA))]).toEqual([1, false]);
  });

  test("changes of the comment and of other bitmaps keep both", async () => {
    const store = new MemoryStore(start());
    await editStore(
      store,
      (one) => {
        one.bitmap("b").clear();
        one.bitmap("a").set({ comment: "c" });
      },
      HOST,
    );
    expect(await stateOf(store)).toEqual([3, hexOf(join(ID, RECORD_9, tlv(6, utf8("c")))), "-"]);
  });

  test("a rename in a session is refused", async () => {
    const bytes = start();
    const store = new MemoryStore(bytes.slice());
    const error = await rejection(() => edit(store, (one) => one.rename("c")));
    expect([error.code, error.message]).toEqual(["USAGE", expect.stringMatching(/import the shell/)]);
    expect(view(store.bytes)).toBe(view(bytes));
  });
});

test("new bitmaps and copies have no session", async () => {
  const copied = (editor: QdbEditor): readonly number[] => {
    const extraData = editor.edits.records("a");
    editor.edits.add({ name: "copy", bits: bitmap(1), flags: 1, extraData });
    editor.edits.replace({ name: "b", bits: bitmap(1), flags: 3, extraData });
    return [...editor.edits.records("copy"), ...editor.edits.records("b")].map(({ type }) => type);
  };
  expect(copied(await openEditor(new MemoryStore(start())))).toEqual([RECORD.id, RECORD.id]);
  const store = new MemoryStore(start({ flags: 1, extra: join(ID, broken) }));
  await edit(store, (one) => one.freeze("next"));
  expect((await stateOf(store, "next"))[1]).not.toContain("00000009");
});

test("every action that reads or changes bits is refused in a session", async () => {
  const calls: Readonly<Record<string, (one: BitmapEdit) => unknown>> = {
    mark: (one) => one.mark({ offset: 0, length: 1 }),
    unmark: (one) => one.unmark({ offset: 0, length: 512 }),
    clear: (one) => one.clear(),
    invert: (one) => one.invert(),
    merge: (one) => one.merge("b"),
    subtract: (one) => one.subtract("b"),
    regranulate: (one) => one.regranulate(1024),
    resize: (one) => one.resize(65536),
    enable: (one) => one.enable(),
    disable: (one) => one.disable(),
    freeze: (one) => one.freeze("next"),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = await rejection(() => edit(new MemoryStore(start()), call));
    expect(error.code, name).toBe("INCONSISTENT");
  }
});
