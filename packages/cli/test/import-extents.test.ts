import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { makeRandomImage, nbdinfoMap, requirePeers, runPeer, seededRandom } from "./peers.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo", "python3"));

let files = 0;

/** Imports a map in JSON from standard input, and gives the map of what came of it. */
function imported(json: unknown, ...options: readonly string[]): unknown {
  const file = join(directory, `file-${files++}.qdb`);
  const input = typeof json === "string" ? json : JSON.stringify(json);
  const { status, stderr } = runQdb(["import", "--from", "extents", "-B", "m", ...options, "-", file], { input });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return qdb("map", "--output=json", file, "m");
}

/** The dirty extents, `[offset, length]`. */
function dirtyOf(json: unknown, ...options: readonly string[]): (readonly [number, number])[] {
  const map: { offset: number; length: number; type: number }[] = JSON.parse(String(imported(json, ...options)));
  return map.filter(({ type }) => type === 1).map(({ offset, length }) => [offset, length]);
}

function refused(json: unknown, ...options: readonly string[]): string {
  const input = typeof json === "string" ? json : JSON.stringify(json);
  return qdbFails(
    "USAGE",
    ["import", "--from", "extents", "-B", "m", ...options, "-", join(directory, "refused.qdb")],
    { input },
  );
}

const K64 = 65536;

describe("maps of real programs", () => {
  test.each([1, 2, 3])("nbdinfo's of a dirty bitmap, seed %i, comes back as it was", (seed) => {
    const image = makeRandomImage(directory, seededRandom(1000 + seed), { name: `nbd-${seed}.qcow2` });
    for (const { name, granularity } of image.bitmaps) {
      const map = nbdinfoMap(image.path, name);
      // The granularity is found from the map: exact, and never coarser than 64 KiB.
      expect(JSON.parse(String(imported(map))), `granularity ${granularity}`).toEqual(map);
      // Without the spaces and the order of keys that nbdinfo has, too.
      const shuffled = map.map(({ offset, length, type, description }) => ({ description, type, length, offset }));
      expect(JSON.parse(String(imported(shuffled)))).toEqual(map);
    }
  });

  /** A raw image of 1 MiB: data, a hole, data, zeros to the end. */
  function rawImage(name: string): string {
    const image = join(directory, name);
    runPeer("qemu-img", ["create", "-q", "-f", "raw", image, "1M"]);
    runPeer("qemu-io", ["-f", "raw", "-c", "write -q 0 128k", "-c", "write -q 512k 64k", image]);
    return image;
  }

  test("qemu-img map: data is dirty with --dirty=data, and nothing without", () => {
    const map = runPeer("qemu-img", ["map", "--output=json", "-f", "raw", rawImage("map.raw")]);
    expect(dirtyOf(map, "--dirty=data")).toEqual([
      [0, 2 * K64],
      [8 * K64, K64],
    ]);
    expect(refused(map)).toContain("--dirty=data");
    // Its zeros show that it is no map of an x-dirty-bitmap.
    expect(refused(map, "--dirty=nodata")).toContain("no zeros");
  });

  test("nbdinfo's of what is allocated: the same", () => {
    const image = rawImage("allocation.raw");
    const map = runPeer("nbdinfo", ["--json", "--map", "--", "[", "qemu-nbd", "-r", "-f", "raw", image, "]"]);
    expect(dirtyOf(map, "--dirty=data")).toEqual([
      [0, 2 * K64],
      [8 * K64, K64],
    ]);
    expect(refused(map)).toContain("--dirty=data");
    expect(refused(map, "--dirty=nodata")).toContain("qemu-img");
  });

  test("QEMU's inverted map of an x-dirty-bitmap", () => {
    const image = makeRandomImage(directory, seededRandom(77), {
      name: "inverted.qcow2",
      size: 4 * 2 ** 20,
      bitmaps: 1,
    });
    const name = "inverted";
    runPeer("qemu-img", ["bitmap", "--add", "-g", "64K", image.path, name]);
    runPeer("qemu-io", ["-c", "write -q 64k 64k", "-c", "write -q 1M 1", image.path]);
    const script = `
import subprocess, sys, os, time
sock = sys.argv[1] + '.sock'
server = subprocess.Popen(['qemu-nbd', '-r', '-f', 'qcow2', '-B', '${name}', '-k', sock, sys.argv[1]])
try:
    for _ in range(200):
        if os.path.exists(sock): break
        time.sleep(0.02)
    options = 'driver=nbd,server.type=unix,server.path=%s,x-dirty-bitmap=qemu:dirty-bitmap:${name}' % sock
    sys.stdout.write(subprocess.run(['qemu-img', 'map', '--output=json', '--image-opts', options], check=True, capture_output=True, text=True).stdout)
finally:
    server.terminate(); server.wait()`;
    const map = runPeer("python3", ["-c", script, image.path]);
    const expected = nbdinfoMap(image.path, name).filter(({ type }) => type === 1);
    expect(expected).toHaveLength(2);
    expect(dirtyOf(map, "--dirty=nodata")).toEqual(expected.map(({ offset, length }) => [offset, length]));
  });
});

describe("doubt is dirty", () => {
  test("what is left out is dirty", () => {
    const map = [
      { offset: K64, length: K64, dirty: false },
      { offset: 4 * K64, length: K64, dirty: false },
    ];
    expect(dirtyOf(map, "--size", "512K")).toEqual([
      [0, K64],
      [2 * K64, 2 * K64],
      [5 * K64, 3 * K64],
    ]);
  });

  test.each([
    ["before", [true, false]],
    ["after", [false, true]],
  ])("where extents overlap, dirty wins, the dirty one %s the clean one", (_, [first, second]) => {
    const map = [
      { offset: 0, length: 4 * K64, dirty: first },
      { offset: 0, length: 4 * K64, dirty: second },
    ];
    expect(dirtyOf(map, "--size", "256K")).toEqual([[0, 4 * K64]]);
  });

  test("dirty rounds outward, clean inward, the end of the disk is an edge", () => {
    const map = [
      { offset: 0, length: 1000, dirty: false },
      { offset: 1000, length: 1, dirty: true },
      { offset: 1001, length: 4 * K64 - 1001 + 100, dirty: false },
    ];
    expect(dirtyOf(map, "-g", "64K")).toEqual([[0, K64]]);
  });

  test("clean extents that meet inside a granule make it clean", () => {
    const map = [
      { offset: 0, length: 1000, dirty: false },
      { offset: 1000, length: K64 - 1000, dirty: false },
    ];
    expect(dirtyOf(map, "-g", "64K")).toEqual([]);
  });

  test("oVirt: dirty as it says; of its zero maps what is not zero", () => {
    const dirty = [
      { start: 0, length: K64, dirty: true, zero: true },
      { start: K64, length: K64, dirty: false, zero: false },
    ];
    expect(dirtyOf(dirty)).toEqual([[0, K64]]);
    const zero = [
      { start: 0, length: K64, zero: true, hole: true },
      { start: K64, length: K64, zero: false, hole: false },
    ];
    expect(dirtyOf(zero, "--dirty=data")).toEqual([[K64, K64]]);
  });

  test("a hole that does not say that it reads as zeros counts as data", () => {
    const map = [
      { offset: 0, length: K64, type: 1, description: "hole" },
      { offset: K64, length: K64, type: 2, description: "zero" },
      { offset: 2 * K64, length: K64, type: 3, description: "hole,zero" },
    ];
    expect(dirtyOf(map, "--dirty=data")).toEqual([[0, K64]]);
    expect(dirtyOf([{ start: 0, length: K64, data: false, zero: false }], "--dirty=data")).toEqual([[0, K64]]);
  });
});

describe("what is refused", () => {
  test("JSON that cannot be read, with its place and the name of the source", () => {
    const words = refused('[{"offset":0,"length":512,"dirty":true},\n{"offset":512}]');
    expect(words).toContain("standard input: ");
    expect(words).toContain("length is missing ([1], line 2)");
  });

  test("a gap at the start, and no size", () => {
    expect(refused('[{"offset":512,"length":512,"dirty":true}]')).toContain("--size");
  });

  test("an end past the disk, of a clean extent too", () => {
    expect(refused('[{"offset":0,"length":1024,"dirty":false}]', "--size", "512")).toContain("past the disk");
  });

  test("described extents with --dirty; no -B, or two of them", () => {
    expect(refused('[{"offset":0,"length":512,"dirty":true}]', "--dirty=data")).toContain("leave --dirty out");
    expect(refused("[]", "-B", "other")).toContain("-B NAME, once");
    qdbFails("USAGE", ["import", "--from", "extents", "-", join(directory, "refused.qdb")], { input: "[]" });
  });

  test("text that is not UTF-8", () => {
    const input = Buffer.from('[{"\xff":0}]', "latin1");
    qdbFails("USAGE", ["import", "--from", "extents", "-B", "m", "-", join(directory, "refused.qdb")], { input });
  });
});

test("numbers above 2^53 stay what they are, in and out", () => {
  const start = 2n ** 60n - 2n ** 31n;
  const json = `[{ "offset": 0, "length": ${start}, "type": 0, "description": "clean"},
{ "offset": ${start}, "length": 2147483137, "type": 1, "description": "dirty"}]`;
  const map = String(imported(json, "-g", "2G"));
  expect(map).toBe(`[
{ "offset": 0, "length": ${start}, "type": 0, "description": "clean"},
{ "offset": ${start}, "length": 2147483137, "type": 1, "description": "dirty"}
]
`);
});

test("JSON is recognised in a file", () => {
  const source = join(directory, "map.json");
  writeFileSync(source, ' \n[{"offset":0,"length":512,"dirty":true}]');
  const file = join(directory, "recognised.qdb");
  qdb("import", "-B", "m", source, file);
  expect(readFileSync(file).subarray(0, 4)).toEqual(Buffer.from("QDB\0"));
  const other = join(directory, "other.txt");
  writeFileSync(other, "hello");
  expect(qdbFails("USAGE", ["import", "-B", "m", other, join(directory, "none.qdb")])).toContain("--from");
  qdbFails("USAGE", ["import", "-B", "m", "-", join(directory, "none.qdb")]);
});
