import { statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { be, bits, join as concat, file, rep, tlv, utf8 } from "../../format/test/hand.ts";
import { qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers, runPeer } from "./peers.ts";
import { DAILY, DAILY_MAP, goodFile, handFile } from "./samples.ts";

const directory = temporaryDirectory();
const good = goodFile(directory);
beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo"));

interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly type: number;
  readonly description: string;
}

const extents = (...args: string[]): Extent[] => JSON.parse(qdb("map", "--output=json", ...args));

test("JSON and table are nbdinfo's, byte for byte", () => {
  const image = join(directory, "peer.qcow2");
  const qdbFile = join(directory, "peer.qdb");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "12345678848"]);
  runPeer("qemu-img", ["bitmap", "--add", "-g", "32k", image, "b"]);
  runPeer("qemu-io", [
    "-c",
    "write -q 0 1",
    "-c",
    "write -q 40k 100k",
    "-c",
    "write -q -z 1G 300M",
    "-c",
    "write -q 12345678336 512",
    image,
  ]);
  qdb("import", image, qdbFile);
  const server = ["--", "[", "qemu-nbd", "-r", "-f", "qcow2", "-B", "b", image, "]"];
  expect(qdb("map", "--output=json", qdbFile, "b")).toBe(
    runPeer("nbdinfo", ["--json", "--map=qemu:dirty-bitmap:b", ...server]),
  );
  expect(qdb("map", qdbFile, "b")).toBe(runPeer("nbdinfo", ["--map=qemu:dirty-bitmap:b", ...server]));
});

test("a file made by hand gives what its bits say, the last granule clipped", () => {
  const text = qdb("map", "--output=json", good, "daily");
  expect(text).toBe(DAILY_MAP);
  const validate = validator("map");
  expect(validate(JSON.parse(text)), JSON.stringify(validate.errors)).toBe(true);
});

test("an empty disk has no extents", () => {
  const path = handFile(directory, "empty.qdb", { bitmaps: [{ name: "e", size: 0n, granularity: 512 }] });
  expect(extents(path, "e")).toEqual([]);
  expect(qdb("map", path, "e")).toBe("");
});

describe("a window", () => {
  const all = JSON.parse(DAILY_MAP) as Extent[];
  const clipped = (start: number, length: number): Extent[] =>
    all
      .map((extent) => {
        const from = Math.max(start, extent.offset);
        return { ...extent, offset: from, length: Math.min(start + length, extent.offset + extent.length) - from };
      })
      .filter(({ length: left }) => left > 0);

  test.each([
    [0, 1],
    [0, 512],
    [511, 2],
    [100, 2_000_000],
    [1536, 1024],
    [2_499_583, 2],
    [2_499_584, 10_000_000],
    [2_499_999, 1],
    [2_500_000, 1],
    [9_000_000, 1],
    [5, 0],
  ])("from %i on, %i bytes at most", (start, length) => {
    const args = [`--start-offset=${start}`, `--max-length=${length}`];
    expect(extents(...args, good, "daily")).toEqual(clipped(start, length));
  });

  test("takes sizes with units", () => {
    expect(extents("--start-offset", "1k", "--max-length", "1K", good, "daily")).toEqual(clipped(1024, 1024));
    expect(qdbFails("USAGE", ["map", "--start-offset=1.5k", good, "daily"])).toContain(
      '--start-offset "1.5k" is no size',
    );
    expect(qdbFails("USAGE", ["map", "--max-length=-1", good, "daily"])).toContain('"-1"');
  });
});

describe("past 2^53 nothing is rounded", () => {
  // 2^63 - 1 bytes at 2 GiB a bit: 2^32 bits, of which a draft without checksums can name the last ones cheaply.
  const size = 2n ** 63n - 1n;
  const clusterBits = 21;
  const clusters = 2 ** 32 / 8 / 2 ** clusterBits;
  const last = rep(0, 2 ** clusterBits);
  last[last.length - 1] = 0b1010_0000;
  const path = join(directory, "huge.qdb");
  beforeAll(() => {
    const zeros = Array.from({ length: clusters - 1 }, () => "zeros" as const);
    writeFileSync(
      path,
      file({ clusterBits, bitmaps: [{ name: "huge", size, granularity: 2 ** 31, clusters: [...zeros, last] }] }),
    );
  });

  test("in JSON and in the table", () => {
    const bit = (index: bigint): bigint => index * 2n ** 31n;
    const first = bit(2n ** 32n - 3n);
    const second = bit(2n ** 32n - 1n);
    const lines = [
      `{ "offset": 0, "length": ${first}, "type": 0, "description": "clean"}`,
      `{ "offset": ${first}, "length": 2147483648, "type": 1, "description": "dirty"}`,
      `{ "offset": ${first + 2n ** 31n}, "length": 2147483648, "type": 0, "description": "clean"}`,
      `{ "offset": ${second}, "length": 2147483647, "type": 1, "description": "dirty"}`,
    ];
    expect(qdb("map", "--output=json", path, "huge")).toBe(`[\n${lines.join(",\n")}\n]\n`);
    expect(qdb("map", path, "huge").split("\n")[3]).toBe(`${second}  2147483647    1  dirty`);
  });

  test("in a window", () => {
    const start = 2n ** 63n - 3n * 2n ** 31n - 1n;
    expect(qdb("map", `--start-offset=${start}`, "--max-length=2", path, "huge")).toBe(
      `${start}           1    0  clean\n${start + 1n}           1    1  dirty\n`,
    );
  });
});

describe("bits that cannot be used", () => {
  const data = bits(512, 0, 9);

  test.each([
    ["INCONSISTENT", { flags: 3 }],
    ["UNSUPPORTED_FEATURE", { flags: 8 }],
    ["BAD_CHECKSUM", { clusters: [data, { data, crc: 1 }] }],
    ["BAD_CHECKSUM", { l1Checksum: 7 }],
    ["BAD_FIELD", { granularity: 1000 }],
  ])("%s: nothing is printed but the error (%j)", (code, wrong) => {
    const path = handFile(directory, "bad.qdb", { bitmaps: [{ ...DAILY, ...wrong }] });
    expect(qdbFails(code, ["map", path, "daily"])).toContain('bitmap "daily"');
    const { status, stdout, stderr } = runQdb(["map", "--output=json", path, "daily"]);
    expect({ status, stderr, code: JSON.parse(stdout.toString()).error.code }).toEqual({ status: 1, stderr: "", code });
  });

  test.each([32, 640])("a bad cluster at the end of a large map, too: %i clusters of lone bits", (count) => {
    // The larger one has more extents than are kept until all bits are read, so it is read twice.
    const clusters = Array.from({ length: count }, () => rep(0x55, 4096));
    const size = BigInt(count) * 4096n * 8n * 512n;
    const bad = { data: rep(0x55, 4096), crc: 1 };
    const bitmap = { name: "b", size, granularity: 512, clusters: [...clusters.slice(1), bad] };
    const path = handFile(directory, "late.qdb", { clusterBits: 12, bitmaps: [bitmap] });
    qdbFails("BAD_CHECKSUM", ["map", path, "b"]);
    qdbFails("BAD_CHECKSUM", ["map", "--start-offset=1", path, "b"]);
    expect(JSON.parse(runQdb(["map", "--output=json", path, "b"]).stdout.toString()).error.code).toBe("BAD_CHECKSUM");
    // A window that the bad cluster does not touch.
    expect(extents("--max-length=1M", path, "b")).toHaveLength(2048);
  });

  test("a map of more extents than are kept comes out whole", () => {
    const clusters = Array.from({ length: 520 }, () => rep(0x55, 4096));
    const bits = 520 * 4096 * 8;
    const bitmap = { name: "b", size: BigInt(bits) * 512n, granularity: 512, clusters };
    const path = handFile(directory, "whole.qdb", { clusterBits: 12, bitmaps: [bitmap] });
    const text = runQdb(["map", path, "b"]).stdout;
    let lines = 0;
    for (let at = text.indexOf(10); at >= 0; at = text.indexOf(10, at + 1)) lines++;
    expect(lines).toBe(bits);
    expect(text.subarray(-120).toString().split("\n").slice(-3)).toEqual([
      `${(bits - 2) * 512}         512    1  dirty`,
      `${(bits - 1) * 512}         512    0  clean`,
      "",
    ]);
  });
});

describe("a disk that was stamped", () => {
  const disk = join(directory, "disk.img");
  const stamped = (name: string, stamp: Uint8Array, where = disk): string =>
    handFile(directory, name, { bitmaps: [{ ...DAILY, extra: concat(tlv(1, utf8(where)), tlv(2, stamp)) }] });
  const stampOf = (length: bigint, mtime: bigint, inode: bigint): Uint8Array =>
    concat(be(length, 8), be(mtime, 8), be(inode, 8));
  const now = (): readonly [bigint, bigint, bigint] => {
    const { size, mtimeNs, ino } = statSync(disk, { bigint: true });
    return [size, mtimeNs, ino];
  };
  beforeAll(() => writeFileSync(disk, "a disk"));

  test("and did not change: the bits are used", () => {
    expect(qdb("map", "--output=json", stamped("same.qdb", stampOf(...now())), "daily")).toBe(DAILY_MAP);
  });

  test.each([
    ["length", 0],
    ["mtime", 1],
    ["inode", 2],
  ])("and has another %s: refused unless told", (_, index) => {
    const stamp = [...now()] as [bigint, bigint, bigint];
    stamp[index] = (stamp[index] ?? 0n) + 1n;
    const path = stamped("changed.qdb", stampOf(...stamp));
    const line = qdbFails("WRONG_DISK", ["map", path, "daily"]);
    expect(line).toContain(disk);
    expect(line).toContain("--ignore-disk-change");
    expect(qdb("map", "--output=json", "--ignore-disk-change", path, "daily")).toBe(DAILY_MAP);
  });

  test("and was written to", () => {
    const path = stamped("written.qdb", stampOf(...now()));
    utimesSync(disk, new Date(), new Date(Date.now() + 5000));
    qdbFails("WRONG_DISK", ["map", path, "daily"]);
  });

  test("and is a directory now", () => {
    qdbFails("WRONG_DISK", ["map", stamped("directory.qdb", stampOf(1n, 1n, 1n), directory), "daily"]);
  });

  test("a broken stamp counts as a difference", () => {
    qdbFails("WRONG_DISK", ["map", stamped("broken.qdb", rep(0, 23)), "daily"]);
  });

  test("and is not there: the bits are used", () => {
    const path = stamped("gone.qdb", stampOf(1n, 1n, 1n), join(directory, "nosuch.img"));
    expect(qdb("map", "--output=json", path, "daily")).toBe(DAILY_MAP);
  });
});
