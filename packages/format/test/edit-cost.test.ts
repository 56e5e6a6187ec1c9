// An action costs what it changes. Counted at the store: which data clusters one commit reads and writes, and how many bytes in all.
import { Bitmap, bytesSource, isQdbError, QdbFile, readBitmap } from "@qdb/format";
import type { QdbEditor } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { fileOf, io, MemoryStore, openEditor } from "./store.ts";

const CLUSTER = 4096;
const CLUSTER_BITS = CLUSTER * 8;
const CLUSTERS = 2000;
const SHAPE = { size: BigInt(CLUSTERS * CLUSTER_BITS) * 512n, granularity: 512 };
const L1_AREA = CLUSTERS * 12;

/** Every cluster is stored: a dirty bit in 32. */
function dense(): Bitmap {
  const words = new Uint32Array(CLUSTERS * (CLUSTER / 4)).fill(0x0000_0100);
  return Bitmap.fromBytes(new Uint8Array(words.buffer), SHAPE);
}

const other = dense();
other.mark({ offset: 0, length: 512 });
const FILE = fileOf({ a: dense(), b: other, clean: Bitmap.clean(SHAPE) }, { clusterBits: 12 });

/** What one commit with an action costs: data clusters by number of reads and writes, and all bytes. */
async function costOf(action: (editor: QdbEditor) => Promise<void> | void) {
  const store = new MemoryStore(FILE);
  const editor = await openEditor(store, { readsLater: true });
  const opened = store.log.length;
  const state = editor.state;
  const data = new Set<number>();
  for (const { map } of state.mapped) {
    if (map === undefined) throw new Error("no map");
    for (let cluster = 0; cluster < map.count; cluster++)
      if (map.kind(cluster) === "data") data.add(map.offset(cluster));
  }
  await action(editor);
  await editor.commit();
  const ops = store.log.slice(opened);
  const reads = ops.flatMap((op) => (op.kind === "read" ? [op] : []));
  const writes = ops.flatMap((op) => (op.kind === "write" ? [op] : []));
  return {
    clustersRead: reads.reduce((sum, read) => sum + clustersIn(read, data), 0),
    bytesRead: reads.reduce((sum, { length }) => sum + length, 0),
    bytesWritten: writes.reduce((sum, { bytes }) => sum + bytes.length, 0),
    calls: ops.length,
    store,
  };
}

/** Returns how many of the clusters at file offsets `data` a read has. */
function clustersIn(
  { offset, length }: { readonly offset: number; readonly length: number },
  data: ReadonlySet<number>,
) {
  let count = 0;
  for (let at = offset; at < offset + length; at += 512) if (data.has(at)) count++;
  return count;
}

/** Header area twice and the table, each in at most two clusters. */
const SMALL = 6 * CLUSTER;

describe("a bitmap of 2000 stored clusters", () => {
  const ACTIONS: Readonly<
    Record<string, readonly [(editor: QdbEditor) => Promise<void> | void, read: number, written: number]>
  > = {
    "one bit marked": [(editor) => editor.read(editor.edits.mark("a", { offset: 5, length: 1 })), 1, L1_AREA + CLUSTER],
    "a range of whole clusters marked": [
      (editor) => editor.read(editor.edits.mark("a", { offset: 0, length: 512 * CLUSTER_BITS * 1000 })),
      0,
      L1_AREA,
    ],
    "a range that begins and ends inside clusters": [
      (editor) => editor.read(editor.edits.mark("a", { offset: 512, length: 512 * CLUSTER_BITS * 1000 })),
      2,
      L1_AREA + 2 * CLUSTER,
    ],
    "a bit of a clean bitmap marked": [
      (editor) => editor.read(editor.edits.mark("clean", { offset: 5, length: 1 })),
      0,
      L1_AREA + CLUSTER,
    ],
    clear: [(editor) => editor.read(editor.edits.clear("a")), 0, L1_AREA],
    "mark all": [(editor) => editor.edits.markAll("a"), 0, L1_AREA],
    rename: [(editor) => editor.edits.rename("a", "other"), 0, 0],
    enable: [(editor) => editor.edits.setEnabled("a", true), 0, 0],
    freeze: [(editor) => editor.edits.freeze("a", "next"), 0, L1_AREA],
    // Both are read. Of clusters with the same checksum, the stored ones are read again, to see that they do not differ.
    "a merge in which one cluster differs": [
      async (editor) => editor.read(editor.edits.merge("a", await editor.source("b"))),
      3 * CLUSTERS - 1,
      L1_AREA + CLUSTER,
    ],
    "a merge of a clean bitmap": [
      async (editor) => editor.read(editor.edits.merge("a", await editor.source("clean"))),
      0,
      0,
    ],
    "a merge of a full bitmap": [
      (editor) => editor.read(editor.edits.merge("a", Bitmap.dirty({ ...SHAPE, granularity: 65536 }))),
      0,
      L1_AREA,
    ],
    "an intersection with a clean bitmap": [
      async (editor) => editor.read(editor.edits.intersect("a", await editor.source("clean"))),
      0,
      L1_AREA,
    ],
    "growth at the border of a cluster": [
      (editor) => editor.read(editor.edits.resize("a", SHAPE.size + 512n * BigInt(CLUSTER_BITS), "dirty")),
      0,
      L1_AREA + 12,
    ],
    "a shrink inside a cluster": [
      (editor) => editor.read(editor.edits.resize("a", 512n * 1000n, "dirty")),
      1,
      12 + CLUSTER,
    ],
  };

  test.each(Object.entries(ACTIONS))("%s", async (_, [action, read, written]) => {
    const cost = await costOf(action);
    expect(cost.clustersRead).toBe(read);
    expect(cost.bytesRead).toBeLessThanOrEqual(read * CLUSTER + SMALL);
    expect(cost.bytesWritten).toBeLessThanOrEqual(written + SMALL);
    // Clusters that follow each other in the file are read, and written, at once.
    expect(cost.calls).toBeLessThanOrEqual(read / 100 + 20);
  });

  test("a bit that is marked and unmarked changes nothing, and the stored cluster is not written", async () => {
    const { bytesWritten } = await costOf(async (editor) => {
      await editor.read(editor.edits.mark("a", { offset: 0, length: 512 }));
      await editor.read(editor.edits.unmark("a", { offset: 0, length: 512 }));
    });
    // The new id of a bitmap from which dirt was removed is in its table entry; this one has none.
    expect(bytesWritten).toBeLessThanOrEqual(SMALL);
  });
});

test("a cluster that was not read keeps its checksum: its damage is found afterwards too", async () => {
  const bytes = FILE.slice();
  const opened = await openEditor(new MemoryStore(bytes));
  const [first] = opened.state.mapped;
  const offset = first?.map?.offset(7);
  if (offset === undefined) throw new Error("no cluster");
  bytes[offset] = 0xff;
  const store = new MemoryStore(bytes);
  const editor = await openEditor(store);
  await editor.read(editor.edits.mark("a", { offset: 0, length: 512 }));
  await editor.commit();
  const file = await QdbFile.open(bytesSource(store.bytes));
  const error = await readBitmap(file.bitmap("a")).catch((caught: unknown) => caught);
  expect(isQdbError(error) && error.code).toBe("BAD_CHECKSUM");
  // Marking a part of the damaged cluster has to read it.
  const again = await openEditor(new MemoryStore(bytes));
  const mark = again.edits.mark("a", { offset: 7 * CLUSTER_BITS * 512, length: 512 });
  await expect(again.read(mark)).rejects.toMatchObject({ code: "BAD_CHECKSUM" });
});

test("adding bitmaps takes time in proportion to their number", async () => {
  const shape = { size: 512, granularity: 512 };
  const add = async (count: number): Promise<number> => {
    const editor = await openEditor(new MemoryStore(fileOf({})));
    const begin = performance.now();
    for (let at = 0; at < count; at++)
      editor.edits.add({ name: `bitmap ${at}`, bits: Bitmap.clean(shape), flags: 0, extraData: [] });
    return performance.now() - begin;
  };
  await add(2000);
  const [few, many] = [await add(4000), await add(64_000)];
  expect(many / few).toBeLessThan(64);
});

/** Compares files of megabytes: a report of what differs would take minutes to make. */
function expectSame(bytes: Uint8Array, expected: Uint8Array): void {
  expect(bytes.length).toBe(expected.length);
  expect(bytes.findIndex((byte, at) => byte !== expected[at])).toBe(-1);
}

test("damage that is found when computed clusters are written leaves the file as it was", async () => {
  const bytes = FILE.slice();
  const opened = await openEditor(new MemoryStore(bytes));
  const offset = opened.state.mapped[0]?.map?.offset(CLUSTERS - 1);
  if (offset === undefined) throw new Error("no cluster");
  bytes[offset] = 0xff;
  const store = new MemoryStore(bytes);
  const editor = await openEditor(store, { readsLater: true });
  await editor.read(editor.edits.invert("a"));
  const before = store.log.length;
  await expect(editor.commit()).rejects.toMatchObject({ code: "BAD_CHECKSUM", where: { bitmap: "a" } });
  // Clusters before the damaged one were written into free space, from which the file was cut.
  expect(store.log.slice(before).filter(({ kind }) => kind === "write").length).toBeGreaterThan(3);
  expectSame(store.bytes, bytes);
  // The session goes on.
  await expect(editor.commit()).rejects.toMatchObject({ code: "BAD_CHECKSUM" });
  // Without the option, the action ends with the error, and leaves nothing to commit.
  const eager = await openEditor(store);
  await expect(eager.read(eager.edits.invert("a"))).rejects.toMatchObject({ code: "BAD_CHECKSUM" });
  await eager.commit();
  expectSame(store.bytes, bytes);
});

test("a file that cannot be cut after such damage is reported as unchanged", async () => {
  const bytes = FILE.slice();
  const offset = (await openEditor(new MemoryStore(bytes))).state.mapped[0]?.map?.offset(CLUSTERS - 1);
  if (offset === undefined) throw new Error("no cluster");
  bytes[offset] = 0xff;
  const store = new MemoryStore(bytes);
  const editor = await openEditor(store, { readsLater: true });
  await editor.read(editor.edits.invert("a"));
  store.before = ({ kind }) => {
    if (kind === "truncate") throw io("cannot cut");
  };
  await expect(editor.commit()).rejects.toMatchObject({ code: "BAD_CHECKSUM" });
  const again = await editor.commit().catch((error: unknown) => String(error));
  expect(again).toMatch(/cannot cut; nothing was changed; only the space after it was not given back/);
});

test("a merge that changes nothing is no commit, however it is read", async () => {
  for (const readsLater of [false, true]) {
    const store = new MemoryStore(FILE);
    const editor = await openEditor(store, { readsLater });
    const { generation } = editor.state.index.header;
    await editor.read(editor.edits.merge("b", await editor.source("a")));
    await editor.commit();
    expect(editor.state.index.header.generation).toBe(generation);
    expectSame(store.bytes, FILE);
  }
});
