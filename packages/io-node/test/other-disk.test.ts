// openQdb and openQdbEditor refuse bits whose disk is not the one that they were stored for.
import { chmodSync, cpSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  Bitmap,
  checkQdb,
  countAll,
  dumpQdb,
  extentsOfAll,
  type QdbFile,
  readAll,
  readBitmap,
  type StoredBitmap,
} from "@qdb/format";
import { encodeRecord, writeImage } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { createFile, openQdbEditor } from "../src/container.ts";
import { lookAtDisk, nodeDigests, openFileSource, openQdb, type QdbOpenOptions } from "../src/index.ts";
import { asOrdinaryUser } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

/** A disk in a folder of its own, and a file with a bitmap `b` of it, and one `plain` that has no stamp. */
async function makeFile() {
  const directory = temporaryDirectory();
  chmodSync(directory, 0o755);
  const folder = join(directory, "folder");
  mkdirSync(folder);
  const disk = join(folder, "disk.raw");
  writeFileSync(disk, Buffer.alloc(4096));
  const { diskStamp: stamp } = lookAtDisk(disk);
  const path = join(directory, "file.qdb");
  const records = [encodeRecord({ kind: "disk", text: disk }), encodeRecord({ kind: "stamp", stamp })];
  const bits = Bitmap.clean({ size: 4096n, granularity: 512 });
  bits.mark({ offset: 512, length: 1 });
  const id = new Uint8Array(16).fill(9);
  const bitmaps = [
    { nameBytes: new TextEncoder().encode("b"), flags: 0, extraData: records, bits },
    { nameBytes: new TextEncoder().encode("plain"), flags: 0, extraData: [], bits },
  ];
  const contents = { clusterBits: 12, fileId: id, writerId: id, allOnes: false, extensions: [], bitmaps };
  await createFile(path, writeImage({ form: "full", ...contents }, nodeDigests));
  return { directory, folder, disk, path };
}

type Made = Awaited<ReturnType<typeof makeFile>>;

async function withFile<T>(path: string, options: QdbOpenOptions, use: (file: QdbFile) => Promise<T>): Promise<T> {
  const file = await openQdb(path, options);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function extents(bitmap: StoredBitmap, within?: { offset: number; length: number }): Promise<number[][]> {
  const found: number[][] = [];
  for await (const batch of bitmap.batches({ within })) {
    for (const { offset, length } of batch.ranges()) found.push([offset, length]);
  }
  return found;
}

/** Every reader of the bits of one bitmap, with what it gives. */
const READERS: readonly (readonly [string, (file: QdbFile) => Promise<unknown>, wanted: unknown])[] = [
  ["extents", (file) => extents(file.bitmap("b")), [[512, 512]]],
  ["extents of a range", (file) => extents(file.bitmap("b"), { offset: 0, length: 512 }), []],
  ["count", (file) => file.bitmap("b").count(), { bits: 1, bytes: 512n }],
  [
    "count of a range",
    (file) => file.bitmap("b").count({ within: { offset: 0, length: 512 } }),
    { bits: 0, bytes: 0n },
  ],
  ["read", async (file) => (await readBitmap(file.bitmap("b"))).count(), 1],
];

/** The codes of the problems of both bitmaps, by both calls that read all. */
async function problemsOfAll(file: QdbFile): Promise<readonly (string | undefined)[]> {
  const loaded = await readAll(file);
  const shown: string[] = [];
  const mapped = await extentsOfAll(
    file,
    () =>
      ({ label }) =>
        void shown.push(label),
  );
  const codes = loaded.map(({ problem }) => problem?.code);
  expect(mapped.map((one) => one.findProblem()?.code)).toEqual(codes);
  expect(loaded.map(({ bitmap }) => bitmap === undefined)).toEqual(codes.map((code) => code !== undefined));
  expect(shown).toEqual(["b", "plain"].filter((_, at) => codes[at] === undefined));
  return codes;
}

async function expectGiven(path: string, options: QdbOpenOptions = {}): Promise<void> {
  for (const [name, read, wanted] of READERS) {
    expect([name, await withFile(path, options, read)]).toEqual([name, wanted]);
  }
  expect(await withFile(path, options, problemsOfAll)).toEqual([undefined, undefined]);
}

async function expectRefused(path: string, code: "WRONG_DISK" | "IO", options: QdbOpenOptions = {}): Promise<void> {
  for (const [name, read] of READERS) {
    const error = await errorOf(() => withFile(path, options, read));
    expect([name, error.code, error.where]).toEqual([name, code, { structure: "disk", bitmap: "b" }]);
  }
  expect(await withFile(path, options, problemsOfAll)).toEqual([code, undefined]);
}

test("a disk that is the one of the stamp", async () => {
  const { path } = await makeFile();
  await expectGiven(path);
});

test("a disk that was written to is WRONG_DISK for every reader of bits, unless it is to be ignored", async () => {
  const { path, disk } = await makeFile();
  utimesSync(disk, 1, 1);
  await expectRefused(path, "WRONG_DISK");
  await expectGiven(path, { disk: "ignore" });
});

test("facts about the file are not refused: counts of all bitmaps, the JSON form, a check", async () => {
  const { path, disk } = await makeFile();
  utimesSync(disk, 1, 1);
  await withFile(path, {}, async (file) => {
    expect((await countAll(file)).map(({ dirty }) => dirty)).toEqual([
      { bits: 1, bytes: 512n },
      { bits: 1, bytes: 512n },
    ]);
    let text = "";
    for await (const piece of dumpQdb(file)) text += piece;
    expect(JSON.parse(text).bitmaps[0].dirty).toEqual([["512", "512"]]);
    expect(await extents(file.bitmap("plain"))).toEqual([[512, 512]]);
  });
  const source = openFileSource(path);
  try {
    for await (const finding of checkQdb(source, { digests: nodeDigests })) expect.fail(finding.message);
  } finally {
    source.close();
  }
});

test("the disk that is named is looked at, not the recorded one", async () => {
  const { path, disk, folder } = await makeFile();
  const moved = join(folder, "moved.raw");
  renameSync(disk, moved);
  await expectGiven(path, { disk: moved });
  cpSync(moved, join(folder, "copy.raw"));
  await expectRefused(path, "WRONG_DISK", { disk: join(folder, "copy.raw") });
  await expectRefused(path, "WRONG_DISK", { disk: folder });
  // What is at the recorded path does not count then.
  writeFileSync(disk, "another one");
  await expectGiven(path, { disk: moved });
  await expectRefused(path, "WRONG_DISK");
});

test("a disk of which nothing is found is unknown, and no doubt", async () => {
  const { path, disk, folder } = await makeFile();
  rmSync(disk);
  await expectGiven(path);
  await expectGiven(path, { disk: join(folder, "none") });
  rmSync(folder, { recursive: true });
  await expectGiven(path);
});

test.each(["", "a\0b"])("a path that no file can have is USAGE: %j", async (disk) => {
  const { path } = await makeFile();
  expect((await errorOf(() => openQdb(path, { disk }))).code).toBe("USAGE");
  expect((await errorOf(() => openQdbEditor(path, { disk }))).code).toBe("USAGE");
});

/** Ways for a disk to be there, or to have been, and not to be looked at. */
const UNREADABLE: readonly (readonly [string, (made: Made) => void])[] = [
  ["a folder without permission to search it", ({ folder }) => chmodSync(folder, 0o600)],
  [
    "a loop of links",
    ({ disk }) => {
      rmSync(disk);
      symlinkSync(disk, disk);
    },
  ],
  [
    "a file in the place of its folder",
    ({ folder }) => {
      rmSync(folder, { recursive: true });
      writeFileSync(folder, "");
    },
  ],
];

test.each(UNREADABLE)("%s is IO, never unchanged", async (_, make) => {
  const made = await makeFile();
  chmodSync(made.path, 0o666);
  make(made);
  await asOrdinaryUser(async () => {
    await expectRefused(made.path, "IO");
    await expectRefused(made.path, "IO", { disk: made.disk });
    await expectGiven(made.path, { disk: "ignore" });
  });
});

describe("an editor", () => {
  test("refuses the source of a merge, but not the bitmap that is changed", async () => {
    const { path, disk } = await makeFile();
    utimesSync(disk, 1, 1);
    const editor = await openQdbEditor(path);
    const error = await errorOf(() => editor.bits("b"));
    expect([error.code, error.where]).toEqual(["WRONG_DISK", { structure: "disk", bitmap: "b" }]);
    expect((await editor.bits("plain")).count()).toBe(1);
    const markAll = (bits: Bitmap): Bitmap => {
      bits.mark({ offset: 0, length: 4096 });
      return bits;
    };
    await editor.change("b", markAll);
    await editor.commit();
    await editor.close();
  });

  test("gives it out if the disk is to be ignored, or another one is named", async () => {
    const { path, disk, folder } = await makeFile();
    const moved = join(folder, "moved.raw");
    renameSync(disk, moved);
    writeFileSync(disk, "another one");
    for (const named of ["ignore", moved]) {
      const editor = await openQdbEditor(path, { disk: named });
      expect((await editor.bits("b")).count()).toBe(1);
      await editor.close();
    }
  });
});

test("the bits of a state are compared with the stamp of that state", async () => {
  const { path, disk } = await makeFile();
  const file = await openQdb(path);
  const before = file.bitmap("b");
  utimesSync(disk, 1, 1);
  expect((await errorOf(() => readBitmap(before))).code).toBe("WRONG_DISK");
  const editor = await openQdbEditor(path);
  const { diskStamp: stamp } = lookAtDisk(disk);
  const records = [encodeRecord({ kind: "disk", text: disk }), encodeRecord({ kind: "stamp", stamp })];
  editor.edits.replace({
    name: "b",
    flags: 0,
    extraData: records,
    bits: Bitmap.dirty({ size: 4096n, granularity: 512 }),
  });
  await editor.commit();
  await editor.close();
  expect((await readBitmap(before)).count()).toBe(8);
  await file.close();
});
