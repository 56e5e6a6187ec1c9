import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runSync } from "@qdb/format/container";
import { confirmQcow2, isQcow2, type Qcow2Index, readQcow2Index } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dirtyRanges, type NbdExtent, nbdinfoMap, requirePeers, runPeer } from "../../cli/test/peers.ts";
import { countingSource, readAll } from "./reading.ts";
import { FIXTURE, makeSmallImage, Patchable, SMALL_DISK } from "./small-image.ts";

let directory: string;
let small: Uint8Array;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo");
  directory = mkdtempSync(join(tmpdir(), "qdb-qcow2-"));
  small = makeSmallImage(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);
const qemuImg = (...args: string[]): string => runPeer("qemu-img", args);
const qemuIo = (path: string, ...commands: string[]): string =>
  runPeer("qemu-io", ["-f", "qcow2", ...commands.flatMap((command) => ["-c", command]), path]);

function index(path: string): Qcow2Index {
  const source = countingSource(readFileSync(path));
  return runSync(readQcow2Index(source.size), source);
}

/** What QEMU reads in an image of given bytes. */
function askQemu(bytes: Uint8Array, bitmap: string): [number, number][] {
  const path = at("asked.qcow2");
  writeFileSync(path, bytes);
  return dirtyRanges(nbdinfoMap(path, bitmap)).map(([offset, length]) => [offset, length]);
}

test("the fixture reads as nbdinfo read it when it was made", () => {
  const { dirty, index: found } = readAll(readFileSync(FIXTURE));
  expect(found.bitmaps.map(({ name, granularity, enabled }) => [name, granularity, enabled])).toEqual([
    ["weekly", 4096, false],
    ["daily", 65536, true],
    ["empty", 65536, true],
  ]);
  for (const name of ["weekly", "daily", "empty"]) {
    const map = JSON.parse(readFileSync(new URL(`${name}.map.json`, FIXTURE), "utf8")) as NbdExtent[];
    expect(dirty.get(name), name).toEqual(dirtyRanges(map));
  }
});

test("an all-ones table entry reads as QEMU reads it, the last one up to the end of the disk", () => {
  const image = new Patchable(small).tableEntry("fine", 0, 1n).tableEntry("fine", 3, 1n);
  const { dirty } = readAll(image.bytes);
  expect(dirty.get("fine")).toEqual([
    [0, 2097152],
    [3145728, 4096],
    [5242880, 1024],
    [6291456, SMALL_DISK - 6291456],
  ]);
  expect(dirty.get("fine")).toEqual(askQemu(image.bytes, "fine"));
});

test("garbage behind the last bit is nobody's dirt", () => {
  const image = new Patchable(small);
  const data = Number(image.readTableEntry("coarse", 0));
  // 128 bits, the last of them for a granule that the disk ends in: everything behind 16 bytes is garbage.
  image.bytes.fill(0xff, data + 16, data + 512);
  const fine = Number(image.readTableEntry("fine", 3));
  image.bytes[fine + 511] = (image.bytes[fine + 511] ?? 0) | 0x80;
  const { dirty } = readAll(image.bytes);
  expect(dirty).toEqual(readAll(small).dirty);
  expect(dirty.get("coarse")).toEqual(askQemu(image.bytes, "coarse"));
  expect(dirty.get("fine")).toEqual(askQemu(image.bytes, "fine"));
});

test("bitmaps of a killed writer are in use, disabled ones too, and INCONSISTENT", async () => {
  const path = at("killed.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", path, "16M");
  qemuImg("bitmap", "--add", path, "enabled");
  qemuImg("bitmap", "--add", "--disable", path, "disabled");
  const before = readFileSync(path);
  const opened = runSync(readQcow2Index(before.length), countingSource(before));
  expect(opened.bitmaps.map(({ inUse, enabled }) => [inUse, enabled])).toEqual([
    [false, true],
    [false, false],
  ]);

  const writer = spawn("qemu-io", ["-f", "qcow2", "-c", "write -q 0 64k", "-c", "sleep 600000", path], {
    stdio: "ignore",
  });
  const exit = once(writer, "exit");
  try {
    while (!qemuImg("info", "-U", "--output=json", path).includes('"in-use"')) await sleep(5);
  } finally {
    writer.kill("SIGKILL");
    await exit;
  }

  const { bitmaps, bitmapsConsistent } = index(path);
  expect(bitmapsConsistent).toBe(true);
  expect(bitmaps.map(({ inUse, enabled, problem }) => [inUse, enabled, problem?.code])).toEqual([
    [true, true, "INCONSISTENT"],
    [true, false, "INCONSISTENT"],
  ]);
  expect(() => bitmaps[0]!.map()).toThrow("in_use is set");
  const after = countingSource(readFileSync(path));
  // What was good when the writer came is noticed to have changed.
  expect(() => runSync(confirmQcow2(opened), after)).toThrow(expect.objectContaining({ code: "SOURCE_CHANGED" }));
});

test("an image that was opened, written and closed in between is SOURCE_CHANGED", () => {
  const path = at("closed.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", path, "16M");
  qemuImg("bitmap", "--add", path, "daily");
  const opened = index(path);
  const confirm = () => runSync(confirmQcow2(opened), countingSource(readFileSync(path)));
  expect(confirm).not.toThrow();
  qemuIo(path, "write -q 0 64k");
  expect(confirm).toThrow(expect.objectContaining({ code: "SOURCE_CHANGED" }));
});

test("where autoclear bit 0 is clear, every bitmap is INCONSISTENT, and QEMU has none", () => {
  const image = new Patchable(small).header({ autoclearFeatures: 0n });
  writeFileSync(at("cleared.qcow2"), image.bytes);
  const { bitmaps, bitmapsConsistent } = index(at("cleared.qcow2"));
  expect(bitmapsConsistent).toBe(false);
  expect(bitmaps.map(({ name, problem, inUse }) => [name, problem?.code, inUse])).toEqual([
    ["fine", "INCONSISTENT", false],
    ["coarse", "INCONSISTENT", false],
    ["idle", "INCONSISTENT", false],
  ]);
  expect(qemuImg("info", "-U", "--output=json", at("cleared.qcow2"))).not.toContain('"fine"');
});

test.each([
  ["corrupt", 2n, "INCONSISTENT"],
  ["dirty (lazy refcounts)", 1n, undefined],
  ["external data file", 4n, undefined],
  ["compression type", 8n, undefined],
  ["extended L2", 16n, undefined],
])("incompatible feature %s: %s", (_, incompatibleFeatures, code) => {
  const { bytes } = new Patchable(small).header({ incompatibleFeatures });
  const { bitmaps } = runSync(readQcow2Index(bytes.length), countingSource(bytes));
  expect(bitmaps.map(({ problem }) => problem?.code)).toEqual([code, code, code]);
});

test("a version 2 image has no bitmaps", () => {
  const path = at("v2.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", "-o", "compat=0.10", path, "10M");
  expect(index(path)).toMatchObject({ version: 2, virtualSize: 10485760n, clusterSize: 65536, bitmaps: [] });
});

test("an image without bitmaps has none", () => {
  const path = at("none.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", path, "10M");
  expect(index(path)).toMatchObject({ version: 3, bitmaps: [], bitmapsConsistent: false });
});

test("bitmaps of a disk in a data file are in the image, and are read from there", () => {
  const path = at("shell.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", "-o", `data_file=${at("shell.raw")},data_file_raw=on`, path, `${16764416}`);
  qemuImg("bitmap", "--add", path, "daily");
  qemuIo(path, "write -q 1M 64k", "discard -q 4M 1M", "write -q 16763904 512");
  rmSync(at("shell.raw"), { force: false });
  const { dirty, index: found } = readAll(readFileSync(path));
  expect(found.incompatibleFeatures).toBe(4n);
  expect(dirty.get("daily")).toEqual([
    [1048576, 65536],
    [4194304, 1048576],
    [16711680, 52736],
  ]);
});

test("extensions of large clusters are found behind the first 64 KiB", () => {
  const path = at("large.qcow2");
  qemuImg("create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", path, "64M");
  qemuImg("bitmap", "--add", path, "daily");
  qemuIo(path, "write -q -z 2M 1M");
  const image = new Patchable(readFileSync(path));
  // An extension that nobody knows comes first and moves the others away: 100,000 bytes, padded to 8.
  const start = 112;
  const moved = image.bytes.slice(start, image.extensionAt + 24);
  image.bytes.fill(0, start, 200_000);
  image.u32(start, 0x0badcafe).u32(start + 4, 100_001);
  image.bytes.set(moved, start + 8 + 100_008);
  expect(readAll(image.bytes).dirty.get("daily")).toEqual([[2097152, 1048576]]);
  expect(askQemu(image.bytes, "daily")).toEqual([[2097152, 1048576]]);
});

test("files that are no qcow2 images are told apart by four bytes", () => {
  expect(isQcow2(small)).toBe(true);
  expect(isQcow2(small.subarray(0, 4))).toBe(true);
  expect(isQcow2(small.subarray(0, 3))).toBe(false);
  expect(isQcow2(Uint8Array.of(0x51, 0x44, 0x42, 0))).toBe(false);
});
