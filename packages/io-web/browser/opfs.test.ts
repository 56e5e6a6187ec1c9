// Files of the origin private file system in a page: the contracts of editing and reading, the lock, what fails.
import { readBitmap } from "@qdb/format";
import { createQdb, editQdb, type OpfsPath, openOpfsSource, openOpfsStore, openQdb } from "@qdb/io-web";
import { describe, expect, test } from "vitest";
import { type EditingHost, editingContract } from "../../format/test/contract/editing.ts";
import { errorOf } from "../../format/test/contract/errors.ts";
import { readingContract } from "../../format/test/contract/reading.ts";

let names = 0;
const run = crypto.randomUUID();
const place = (): OpfsPath => `opfs:${run}-${names++}.qdb`;

async function bytesOf(path: OpfsPath): Promise<Uint8Array> {
  const source = await openOpfsSource(path);
  return source.read(0, source.size);
}

async function write(path: OpfsPath, bytes: Uint8Array): Promise<void> {
  const folder = await navigator.storage.getDirectory();
  const file = await folder.getFileHandle(path.slice("opfs:".length), { create: true });
  const stream = await file.createWritable();
  await stream.write(bytes as Uint8Array<ArrayBuffer>);
  await stream.close();
}

const HOST: EditingHost<OpfsPath> = { place, createQdb, editQdb, openQdb, bytes: bytesOf, overwrite: write };

describe("editQdb and createQdb", () => editingContract(HOST));
describe("openQdb", () => readingContract({ ...HOST, open: openQdb }));

describe("the lock", () => {
  test("is held by one store at a time, and given back by closing (QDB-CMT-013)", async () => {
    const path = place();
    await createQdb(path);
    const store = await openOpfsStore(path);
    const error = await errorOf(() => openOpfsStore(path));
    expect([error.code, error.message]).toEqual([
      "LOCKED",
      expect.stringMatching(/open for writing in this tab or another/),
    ]);
    expect((await errorOf(() => editQdb(path, () => undefined))).code).toBe("LOCKED");
    // Readers take none.
    expect((await openQdb(path)).bitmaps).toEqual([]);
    await store.close();
    await (await openOpfsStore(path)).close();
  });
});

describe("a store", () => {
  test("reads exactly, writes, cuts", async () => {
    const path = place();
    await write(path, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const store = await openOpfsStore(path);
    expect(store.size).toBe(8);
    expect(
      await store.readMany([
        { offset: 4, length: 4 },
        { offset: 0, length: 0 },
        { offset: 2, length: 3 },
      ]),
    ).toEqual([Uint8Array.of(5, 6, 7, 8), new Uint8Array(0), Uint8Array.of(3, 4, 5)]);
    for (const [offset, length] of [
      [7, 2],
      [-1, 1],
      [0, Number.NaN],
    ] as const)
      expect((await errorOf(() => store.read(offset, length))).code).toBe("SHORT_READ");
    await store.write(10, Uint8Array.of(9));
    expect(store.size).toBe(11);
    await store.truncate(9);
    await store.flush();
    expect(store.size).toBe(9);
    await store.close();
    await store.close();
    expect((await errorOf(() => store.read(0, 1))).code).toBe("USAGE");
    expect(await bytesOf(path)).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 0));
  });

  test.each<[string, OpfsPath, string]>([
    ["no file", `opfs:${run}-none`, "NOT_FOUND"],
    ["no folder", `opfs:${run}-none/a`, "NOT_FOUND"],
    ["no name", "opfs:", "USAGE"],
    ["a way up", "opfs:../a", "USAGE"],
  ])("%s", async (_, path, code) => {
    expect((await errorOf(() => openOpfsStore(path))).code).toBe(code);
    expect((await errorOf(() => openQdb(path))).code).toBe(code);
  });
});

test("a file that exists is not overwritten", async () => {
  const path = place();
  await write(path, Uint8Array.of(1));
  expect((await errorOf(() => createQdb(path))).code).toBe("ALREADY_EXISTS");
  expect(await bytesOf(path)).toEqual(Uint8Array.of(1));
});

test("a reader sees a commit of a writer", async () => {
  const path = place();
  await createQdb(path, { bitmaps: [{ name: "a", size: 8192, granularity: 512 }] });
  const file = await openQdb(path);
  expect((await file.bitmap("a").count()).bits).toBe(0);
  await editQdb(path, (edit) => edit.bitmap("a").mark({ offset: 512, length: 512 }));
  expect((await readBitmap(file.bitmap("a"))).nextDirty()).toBe(1);
});
