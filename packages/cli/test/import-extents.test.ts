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
  const { map, warning } = importedWith(json, ...options);
  expect(warning).toBe("");
  return map;
}

/** The same, with what was said on standard error. */
function importedWith(json: unknown, ...options: readonly string[]): { map: string; warning: string; file: string } {
  const file = join(directory, `file-${files++}.qdb`);
  const input = typeof json === "string" ? json : JSON.stringify(json);
  const { status, stderr } = runQdb(["import", "--from", "extents", "-B", "m", ...options, "-", file], { input });
  expect({ stderr, status }).toMatchObject({ status: 0 });
  return { map: qdb("map", "--output=json", file, "m"), warning: stderr, file };
}

/** The dirty extents, `[offset, length]`. */
function dirtyOf(json: unknown, ...options: readonly string[]): (readonly [number, number])[] {
  return dirtyIn(String(imported(json, ...options)));
}

function dirtyIn(map: string): (readonly [number, number])[] {
  const extents: { offset: number; length: number; type: number }[] = JSON.parse(map);
  return extents.filter(({ type }) => type === 1).map(({ offset, length }) => [offset, length]);
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
    const { map: stored, warning } = importedWith(map, "--dirty=data");
    expect(dirtyIn(stored)).toEqual([
      [0, 2 * K64],
      [8 * K64, K64],
    ]);
    // A hole of a raw image may be what a guest discarded.
    expect(warning).toMatch(/^qdb: warning: standard input: 851968 bytes .*--dirty=local[^\n]*\n$/);
    expect(dirtyOf(map, "--dirty=local")).toEqual([[0, 16 * K64]]);
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
    expect(refused(map, "--dirty=local")).toContain("qemu:allocation-depth");
  });

  test("nbdinfo before 1.9.1 calls data allocated", () => {
    const map = `[
{ "offset": 0, "length": 65536, "type": 0, "description": "allocated" },
{ "offset": 65536, "length": 983040, "type": 3, "description": "hole,zero" }
]`;
    expect(dirtyOf(map, "--dirty=data")).toEqual([[0, K64]]);
    expect(refused(map.replace('"type": 0', '"type": 1'), "--dirty=data")).toContain("contradict");
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

describe("overlays, with --dirty=local", () => {
  /** Clusters of an overlay. */
  const CLUSTERS = 64;
  let images = 0;

  interface Overlay {
    readonly path: string;
    readonly backing: string;
    /** Which clusters were written, zeroed or discarded in it. */
    readonly isLocal: boolean[];
    /** Which of these read as zeros. */
    readonly isZero: boolean[];
  }

  /** Two images with data below, and an overlay that the commands of qemu-io change, each on whole clusters. */
  function overlay(changes: readonly (readonly [command: string, cluster: number, count: number])[]): Overlay {
    const [base, backing, path] = ["base", "backing", "overlay"].map((name) =>
      join(directory, `${name}-${images}.qcow2`),
    ) as [string, string, string];
    images++;
    const size = `${CLUSTERS * K64}`;
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", base, size]);
    runPeer("qemu-io", ["-c", `write -q -P 1 0 ${(CLUSTERS / 2) * K64}`, base]);
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", backing]);
    runPeer("qemu-io", ["-c", `write -q -P 2 ${16 * K64} ${32 * K64}`, "-c", `write -q -z 0 ${2 * K64}`, backing]);
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-b", backing, "-F", "qcow2", path]);
    const made: Overlay = {
      path,
      backing,
      isLocal: new Array<boolean>(CLUSTERS).fill(false),
      isZero: new Array<boolean>(CLUSTERS).fill(false),
    };
    for (const [command, cluster, count] of changes) {
      made.isLocal.fill(true, cluster, cluster + count);
      made.isZero.fill(!command.includes("-P"), cluster, cluster + count);
    }
    const commands = changes.flatMap(([command, at, count]) => ["-c", `${command} ${at * K64} ${count * K64}`]);
    runPeer("qemu-io", ["-f", "qcow2", "-d", "unmap", ...commands, path]);
    return made;
  }

  function rangesOf(clusters: readonly boolean[]): [number, number][] {
    const ranges: [number, number][] = [];
    for (const [at, isIn] of clusters.entries()) {
      const last = ranges.at(-1);
      if (!isIn) continue;
      if (last !== undefined && last[0] + last[1] === at * K64) last[1] += K64;
      else ranges.push([at * K64, K64]);
    }
    return ranges;
  }

  const mapOf = (path: string): string => runPeer("qemu-img", ["map", "--output=json", path]);
  const depthsOf = (path: string): string =>
    runPeer("nbdinfo", [
      "--json",
      "--map=qemu:allocation-depth",
      "--",
      ...["[", "qemu-nbd", "-r", "-f", "qcow2", "-A", path, "]"],
    ]);

  test.each([1, 2, 3])("what was written, zeroed or discarded is dirty, by either map; seed %i", (seed) => {
    const random = seededRandom(4000 + seed);
    const changes = Array.from({ length: 12 }, () => {
      const at = random(CLUSTERS);
      const count = 1 + random(Math.min(6, CLUSTERS - at));
      return [["write -q -P 3", "write -q -z", "write -q -z -u", "discard -q"][random(4)] ?? "", at, count] as const;
    });
    const { path, isLocal, isZero } = overlay(changes);
    const expected = rangesOf(isLocal);
    expect(dirtyOf(mapOf(path), "--dirty=local")).toEqual(expected);
    expect(dirtyOf(depthsOf(path), "--dirty=local")).toEqual(expected);
    // What --dirty=data leaves out is told in bytes.
    const zeros = isZero.filter(Boolean).length;
    expect(zeros).toBeGreaterThan(0);
    expect(importedWith(mapOf(path), "--dirty=data").warning).toContain(` ${zeros * K64} bytes `);
  });

  test("a copy onto the old state gives the new one, and with --dirty=data it would not", () => {
    const { path, backing } = overlay([
      ["write -q -P 9", 0, 1],
      ["write -q -z", 20, 3],
      ["discard -q", 33, 1],
      ["write -q -P 7", 50, 2],
    ]);
    const raw = (image: string, name: string): string => {
      const target = join(directory, name);
      runPeer("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", image, target]);
      return target;
    };
    const current = raw(path, "current.raw");
    for (const [rule, isRight] of [
      ["local", true],
      ["data", false],
    ] as const) {
      const target = raw(backing, `target-${rule}.raw`);
      const { file, warning } = importedWith(mapOf(path), `--dirty=${rule}`);
      expect(warning === "").toBe(isRight);
      qdb("copy", file, "m", current, target);
      expect(readFileSync(target).equals(readFileSync(current))).toBe(isRight);
    }
  });

  test("without an overlay nothing is local but what the image holds, and no zeros are left out", () => {
    const image = join(directory, "alone.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, `${4 * K64}`]);
    runPeer("qemu-io", ["-c", `write -q ${K64} ${K64}`, image]);
    for (const rule of ["local", "data"]) expect(dirtyOf(mapOf(image), `--dirty=${rule}`)).toEqual([[K64, K64]]);
    expect(refused(depthsOf(image), "--dirty=data")).toContain("--dirty=local");
    expect(refused(depthsOf(image), "--dirty=nodata")).toContain("qemu-img");
  });

  test("what contradicts itself or says too little is dirty, or refused", () => {
    const one = (extent: object): object[] => [{ start: 0, length: K64, ...extent }];
    // qemu-img before 6.1 does not say present.
    expect(dirtyOf(one({ depth: 0, zero: true, data: false }), "--dirty=local")).toEqual([[0, K64]]);
    expect(dirtyOf(one({ depth: 0, present: false, zero: false, data: true }), "--dirty=local")).toEqual([[0, K64]]);
    expect(dirtyOf(one({ depth: 1, present: true, zero: false, data: true }), "--dirty=local")).toEqual([]);
    expect(refused(one({ present: true, zero: true, data: false }), "--dirty=local")).toContain("depth");
    expect(refused(one({ depth: 0.5, zero: true, data: false }), "--dirty=local")).toContain("whole number");
    expect(refused(one({ depth: 1, type: 1, description: "local" }), "--dirty=local")).toContain("two answers");
    expect(refused(one({ dirty: false, depth: 1 }), "--dirty=local")).toContain("leave --dirty out");
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
