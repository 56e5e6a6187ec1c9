// The queue of an edit, over stores in memory: what every host promises, and what only a store can show.
import { type QdbEdit, QdbFile, readBitmap } from "@qdb/format";
import { editStore } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { editingContract } from "./contract/editing.ts";
import { asyncStore, bitmap, failFrom, fileOf, ids, io, MemoryStore, utf8, view, ZLIB } from "./store.ts";
import { rejection } from "./support/errors.ts";
import { memoryHost } from "./support/memory-host.ts";

describe("a synchronous store", () => editingContract(memoryHost((store) => store)));
describe("an asynchronous store", () => editingContract(memoryHost(asyncStore)));

const HOST = { digests: ZLIB, randomId: ids() };
const MARK = { offset: 0, length: 512 };

function closable(store: MemoryStore, close: () => void): MemoryStore {
  return Object.assign(store, { close });
}

describe("the store is closed", () => {
  const failing = (): never => {
    throw io("close failed");
  };

  test("once, however the edit ends", async () => {
    const closes: number[] = [];
    const count = (): void => void closes.push(1);
    const bytes = fileOf({ daily: bitmap(16) });
    await editStore(closable(new MemoryStore(bytes), count), () => undefined, HOST);
    await rejection(() => editStore(closable(new MemoryStore(bytes), count), (edit) => edit.bitmap("none"), HOST));
    await rejection(() => editStore(closable(new MemoryStore(utf8("none")), count), () => undefined, HOST));
    const aborted = { ...HOST, signal: AbortSignal.abort() };
    await rejection(() => editStore(closable(new MemoryStore(bytes), count), () => undefined, aborted));
    expect(closes).toHaveLength(4);
  });

  test("an error of closing does not hide that of the callback, an action or the commit", async () => {
    const store = (): MemoryStore => closable(new MemoryStore(fileOf({ daily: bitmap(16) })), failing);
    const own = new RangeError("of the callback");
    const throwing = (): never => {
      throw own;
    };
    await expect(editStore(store(), throwing, HOST)).rejects.toBe(own);
    const outside = { offset: 16 * 512, length: 1 };
    const action = await rejection(() => editStore(store(), (edit) => edit.bitmap("daily").mark(outside), HOST));
    expect(action.code).toBe("USAGE");
    const broken = store();
    failFrom(broken, 0);
    const commit = await rejection(() => editStore(broken, (edit) => edit.bitmap("daily").mark(MARK), HOST));
    expect([commit.code, commit.message]).toEqual(["POISONED", expect.stringContaining("nothing was changed")]);
  });

  test("an error of closing alone says that the change is stored, and it is", async () => {
    const store = closable(new MemoryStore(fileOf({ daily: bitmap(16) })), failing);
    const error = await rejection(() => editStore(store, (edit) => edit.bitmap("daily").mark(MARK), HOST));
    expect([error.code, error.message]).toEqual(["IO", "close failed; the change is stored"]);
    expect(view(store.bytes)).toBe(view(fileOf({ daily: bitmap(16, [0]) })));
  });
});

test.each<[string, (edit: QdbEdit) => void]>([
  ["an action", (edit) => edit.bitmap("daily").mark({ offset: 0, length: 512 })],
  ["a commit", (edit) => edit.bitmap("daily").invert()],
])("%s that fails while it reads is the error of the edit, and nothing is written", async (_, change) => {
  const store = new MemoryStore(fileOf({ daily: bitmap(4096 * 16, [5]) }));
  const error = await rejection(() =>
    editStore(
      store,
      (edit) => {
        store.before = ({ kind }) => {
          if (kind === "read") throw io("read failed");
        };
        change(edit);
      },
      HOST,
    ),
  );
  expect([error.code, error.message]).toEqual(["IO", "read failed"]);
  expect(store.changes).toEqual([]);
});

test("a signal that is aborted while an action reads ends it", async () => {
  const store = new MemoryStore(fileOf({ daily: bitmap(4096 * 16, [5]) }));
  const controller = new AbortController();
  const change = (edit: QdbEdit): void => {
    store.before = () => controller.abort();
    edit.bitmap("daily").mark({ offset: 0, length: 512 });
  };
  const error = await rejection(() => editStore(store, change, { ...HOST, signal: controller.signal }));
  expect(error.code).toBe("ABORTED");
  expect(store.changes).toEqual([]);
});

test("a result that nobody awaits is no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listener);
  try {
    const change = (edit: QdbEdit): void => {
      edit.bitmap("daily").mark({ offset: 16 * 512, length: 1 });
      void edit.bitmap("daily").read();
      void edit.apply();
    };
    await rejection(() => editStore(new MemoryStore(fileOf({ daily: bitmap(16) })), change, HOST));
    await new Promise((resolve) => setTimeout(resolve, 0));
  } finally {
    process.off("unhandledRejection", listener);
  }
  expect(unhandled).toEqual([]);
});

test("the report names the damaged bitmaps of a draft, which are all dirty then", async () => {
  // Without checksums, the one entry of the L1 table that refers past the end of the file shows the damage.
  const draft = fileOf({ daily: bitmap(16, [1]), other: bitmap(16, [2]) }, { form: "draft", allOnes: false });
  const file = await QdbFile.open(new MemoryStore(draft), { digests: ZLIB });
  const { l1TableOffset } = file.bitmap("daily").entry.decodeFields();
  draft.set([0, 0, 0xff], Number(l1TableOffset));
  const reports: unknown[] = [];
  const store = new MemoryStore(draft);
  const onCommit = ({ madeDirty }: { readonly madeDirty: readonly { readonly where: unknown }[] }): void =>
    void reports.push(...madeDirty.map(({ where }) => where));
  await editStore(store, (edit) => edit.bitmap("other").mark(MARK), { ...HOST, onCommit });
  expect(reports).toMatchObject([{ bitmap: "daily" }]);
});

test("a bitmap whose name is not UTF-8 goes by its label, unless another one is called so", async () => {
  const draft = fileOf({ "hex:ff": bitmap(16, [1]), x: bitmap(16, [2]) }, { form: "draft", allOnes: false });
  draft[Buffer.from(draft).lastIndexOf("x")] = 0xff;
  const store = new MemoryStore(draft);
  await editStore(
    store,
    (edit) => {
      const text = edit.bitmap("hex:ff");
      text.remove();
      const bytes = edit.bitmap("hex:ff");
      expect(bytes).not.toBe(text);
      bytes.remove();
      expect(edit.has("hex:ff")).toBe(false);
    },
    HOST,
  );
  expect(view(store.bytes)).toBe("");
});

test("names are the same however many of them are looked up", async () => {
  const names = Array.from({ length: 60 }, (_, number) => `bitmap ${number}`);
  const draft = fileOf(Object.fromEntries([...names, "hex:ff", "~"].map((name) => [name, bitmap(16)])), {
    form: "draft",
    allOnes: false,
  });
  draft[Buffer.from(draft).lastIndexOf("~")] = 0xff;
  const store = new MemoryStore(draft);
  const change = (edit: QdbEdit): void => {
    edit.bitmap("bitmap 1").remove();
    edit.bitmap("bitmap 2").rename("bitmap 1");
    expect(edit.has("none")).toBe(false);
    for (const name of names) expect([name, edit.has(name)]).toEqual([name, name !== "bitmap 2"]);
    for (let number = 60; number < 90; number++) expect(edit.has(`bitmap ${number}`)).toBe(false);
    edit.bitmap("bitmap 1").mark(MARK);
    edit.add({ name: "none", size: 0 });
    edit.bitmap("none").remove();
    edit.bitmap("hex:ff").remove();
    edit.bitmap("hex:ff").remove();
    expect([edit.has("none"), edit.has("hex:ff"), edit.has("bitmap 2")]).toEqual([false, false, false]);
    expect(edit.bitmap("bitmap 59")).toBe(edit.bitmap("bitmap 59"));
  };
  await editStore(store, change, HOST);
  const file = await QdbFile.open(store, { digests: ZLIB });
  expect(file.bitmaps.map(({ label }) => label)).toEqual(["bitmap 0", "bitmap 1", ...names.slice(3)]);
  expect((await readBitmap(file.bitmap("bitmap 1"))).count()).toBe(1);
});

test("of several bitmaps with one name, a name stands for all of them", async () => {
  const draft = fileOf({ a: bitmap(16, [1]), b: bitmap(16, [2]), c: bitmap(16) }, { form: "draft", allOnes: false });
  draft[Buffer.from(draft).lastIndexOf("b")] = 0x61;
  const store = new MemoryStore(draft);
  await editStore(
    store,
    (edit) => {
      edit.bitmap("a").remove();
      expect(edit.has("a")).toBe(false);
      edit.add({ name: "a", bits: bitmap(16, [3]) });
    },
    HOST,
  );
  const file = await QdbFile.open(store, { digests: ZLIB });
  expect(file.bitmaps.map(({ name }) => name)).toEqual(["c", "a"]);
  expect((await readBitmap(file.bitmap("a"))).isDirty(3)).toBe(true);
});
