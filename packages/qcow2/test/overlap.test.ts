// Clusters that a bitmap does not have for itself. Real images are broken by single fields; qemu-img check is the judge.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSync } from "@qdb/format/container";
import { type Qcow2Index, readQcow2Index } from "@qdb/qcow2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeRandomImage, type Random, requirePeers, runPeer, seededRandom } from "../../cli/test/peers.ts";
import { type Clusters, clustersOf } from "./clusters.ts";
import { codeOf, countingSource, open, readAll } from "./reading.ts";
import { Patchable } from "./small-image.ts";

let directory: string;
let good: Uint8Array;
let clusters: Clusters;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io");
  directory = mkdtempSync(join(tmpdir(), "qdb-overlap-"));
  good = makeImage("good.qcow2", "cluster_size=512");
  clusters = clustersOf(good);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** An offset behind the bitmap directory, which is the last thing in the image. */
const BEHIND = 1n << 20n;

const at = (name: string): string => join(directory, name);
const qemuImg = (...args: string[]): string => runPeer("qemu-img", args);

/** A 16 MiB disk with a snapshot, data, compressed data, and bitmaps `A` (0 is dirty), `B` (8 MiB is) and `C` (4 MiB is). */
function makeImage(name: string, options: string): Uint8Array {
  const path = at(name);
  const io = (...commands: string[]): string =>
    runPeer("qemu-io", ["-f", "qcow2", ...commands.flatMap((command) => ["-c", command]), path]);
  qemuImg("create", "-q", "-f", "qcow2", "-o", options, path, "16M");
  if (!options.includes("data_file")) {
    io("write -q 1M 64k");
    if (!options.endsWith("refcount_bits=1")) qemuImg("snapshot", "-c", "before", path);
    // Half random: compressed clusters of several sectors, which start anywhere.
    const data = seededRandom(7);
    writeFileSync(
      at("data"),
      Uint8Array.from({ length: 65536 }, (_, byte) => (byte % 1024 < 512 ? data(256) : 0)),
    );
    if (!options.includes("preallocation"))
      io(`write -q -c -s ${at("data")} 2M ${options.includes("size=2M") ? "2M" : "64k"}`);
    io("write -q 1M 64k");
  }
  for (const [bitmap, offset] of [
    ["A", "0"],
    ["B", "8M"],
    ["C", "4M"],
  ]) {
    qemuImg("bitmap", "--add", "-g", "64K", path, `${bitmap}`);
    io(`write -q -z ${offset} 64k`);
    qemuImg("bitmap", "--disable", path, `${bitmap}`);
  }
  return new Uint8Array(readFileSync(path));
}

/** What `qemu-img check` says of an image of given bytes: 0 nothing is wrong, 2 an error, 3 leaks only. */
function check(bytes: Uint8Array): number | null {
  writeFileSync(at("checked.qcow2"), bytes);
  return spawnSync("qemu-img", ["check", "-q", "-f", "qcow2", at("checked.qcow2")]).status;
}

const codes = (bytes: Uint8Array): (string | undefined)[] => open(bytes).bitmaps.map(({ problem }) => problem?.code);

test("the image that is broken below is a good one", () => {
  expect(check(good)).toBe(0);
  const { index, dirty } = readAll(good);
  expect(index.bitmaps.map(({ problem }) => problem)).toEqual([undefined, undefined, undefined]);
  expect([...dirty.values()]).toEqual([[[0, 65536]], [[8388608, 65536]], [[4194304, 65536]]]);
});

test.each([
  "cluster_size=512",
  "cluster_size=4K",
  "cluster_size=64K",
  "cluster_size=2M",
  "cluster_size=16K,extended_l2=on",
  "cluster_size=4K,lazy_refcounts=on",
  ...[1, 2, 4, 8, 16, 32, 64].map((bits) => `cluster_size=512,refcount_bits=${bits}`),
  "cluster_size=4K,data_file=",
])("two bitmaps with one data cluster, %s: both are OVERLAP, the third is read", (options) => {
  const image = new Patchable(
    makeImage("shared.qcow2", options.replace("data_file=", `data_file=${at("shared.raw")}`)),
  );
  expect(check(image.bytes)).toBe(0);
  readAll(image.bytes);
  image.tableEntry("B", 0, image.readTableEntry("A", 0));
  expect(check(image.bytes)).toBe(2);
  const { bitmaps } = open(image.bytes);
  expect(bitmaps.map(({ name, problem }) => [name, problem?.code])).toEqual([
    ["A", "OVERLAP"],
    ["B", "OVERLAP"],
    ["C", undefined],
  ]);
  expect(bitmaps[1]?.problem?.where).toMatchObject({ structure: "bitmap table entry", bitmap: "B" });
  for (const bitmap of bitmaps.slice(0, 2)) expect(codeOf(() => bitmap.map())[0]).toBe("OVERLAP");
});

describe("one reference to a cluster of something else", () => {
  const places = [
    "header",
    "L1 table",
    "refcount table",
    "refcount block",
    "snapshot table",
    "snapshot's L1 table",
    "L2 table",
    "snapshot's L2 table",
    "data",
    "snapshot's data",
    "compressed data",
    "free cluster",
  ] as const;

  test.each(places)("a data cluster that is a %s: that bitmap is OVERLAP, the others are read", (place) => {
    const image = new Patchable(good).tableEntry("B", 0, BigInt(clusters[place]));
    if (place !== "header") expect(check(image.bytes)).toBe(2);
    expect(codes(image.bytes)).toEqual([undefined, place === "header" ? undefined : "OVERLAP", undefined]);
  });

  test.each(places)("a table that is a %s: that bitmap is refused, the others are read", (place) => {
    const image = new Patchable(good).entry("B", { bitmapTableOffset: BigInt(clusters[place]) });
    expect(codes(image.bytes)).toEqual([undefined, place === "header" ? "BAD_FIELD" : "OVERLAP", undefined]);
  });

  test("a data cluster, or a table, that is the directory: all bitmaps are OVERLAP", () => {
    const offset = BigInt(new Patchable(good).directoryAt);
    for (const image of [
      new Patchable(good).tableEntry("B", 0, offset),
      new Patchable(good).entry("B", { bitmapTableOffset: offset }),
    ])
      expect(codes(image.bytes)).toEqual(["OVERLAP", "OVERLAP", "OVERLAP"]);
  });

  test("a data cluster that is its own table or another's", () => {
    const own = new Patchable(good);
    own.tableEntry("B", 0, BigInt(own.tableAt("B")));
    expect(codes(own.bytes)).toEqual([undefined, "OVERLAP", undefined]);
    const other = new Patchable(good);
    other.tableEntry("B", 0, BigInt(other.tableAt("C")));
    expect(codes(other.bytes)).toEqual([undefined, "OVERLAP", "OVERLAP"]);
  });

  test("one table for two bitmaps", () => {
    const image = new Patchable(good);
    image.entry("B", { bitmapTableOffset: BigInt(image.tableAt("A")) });
    expect(check(image.bytes)).toBe(2);
    expect(codes(image.bytes)).toEqual(["OVERLAP", "OVERLAP", undefined]);
    // What both refer to by it is not free for a third one.
    image.tableEntry("C", 0, image.readTableEntry("A", 0));
    expect(codes(image.bytes)).toEqual(["OVERLAP", "OVERLAP", "OVERLAP"]);
  });
});

describe("what bitmaps that are refused themselves own", () => {
  test.each([
    ["in use", { flags: 1 }, "INCONSISTENT"],
    ["of an unknown type", { type: 7 }, "UNSUPPORTED_FEATURE"],
    ["of unknown flags", { flags: 0x100 }, "UNSUPPORTED_FEATURE"],
    ["of a wrong granularity", { granularityBits: 60 }, "BAD_FIELD"],
    ["of a wrong number of bits", { granularityBits: 9 }, "BAD_FIELD"],
  ] as const)("a bitmap %s shares its data cluster: the other one is OVERLAP", (_, change, code) => {
    const image = new Patchable(good).entry("A", change);
    expect(codes(image.bytes)).toEqual([code, undefined, undefined]);
    image.tableEntry("B", 0, image.readTableEntry("A", 0));
    expect(codes(image.bytes)).toEqual([code, "OVERLAP", undefined]);
  });

  test("nothing is read where no bitmap can be used", () => {
    const image = new Patchable(good).header({ autoclearFeatures: 0n, l1TableOffset: 1n << 50n });
    const source = countingSource(image.bytes);
    const index = runSync(readQcow2Index(source.size), source);
    expect(index.bitmaps.map(({ problem }) => problem?.code)).toEqual(Array(3).fill("INCONSISTENT"));
    expect(index.isJudged).toBe(false);
  });
});

describe("refcounts", () => {
  const values = (bits: number): (readonly [number, string | undefined])[] => [
    [0, "OVERLAP"],
    [1, undefined],
    ...(bits > 1 ? [[2, "OVERLAP"] as const] : []),
    ...(bits > 2 ? [[2 ** Math.min(bits, 32) - 1, "OVERLAP"] as const] : []),
    ...(bits === 64 ? [[2 ** 32 + 1, "OVERLAP"] as const] : []),
  ];

  test.each([1, 2, 4, 8, 16, 32, 64])("of %i bits: all but 1 are OVERLAP, of data cluster and table alike", (bits) => {
    const bytes = makeImage("widths.qcow2", `cluster_size=512,refcount_bits=${bits}`);
    const found = clustersOf(bytes);
    const image = new Patchable(bytes);
    for (const offset of [Number(image.readTableEntry("B", 0)), image.tableAt("B")]) {
      for (const [value, code] of values(bits)) {
        const changed = new Patchable(bytes);
        found.setRefcount(changed.bytes, offset, value);
        // The judge reads the same place: it sees leaks where the refcount is too high, errors where it is too low.
        expect(check(changed.bytes), `${offset}: ${value}`).toBe(value === 1 ? 0 : value === 0 ? 2 : 3);
        expect(codes(changed.bytes), `${offset}: ${value}`).toEqual([undefined, code, undefined]);
      }
    }
    const free = new Patchable(bytes);
    found.setRefcount(free.bytes, free.directoryAt, 0);
    expect(codes(free.bytes)).toEqual(["OVERLAP", "OVERLAP", "OVERLAP"]);
  });

  test.each([
    ["without a refcount block", 900 * 1024],
    ["behind the last block that the refcount table has", 9 * 2 ** 20],
  ])("of a cluster %s are 0", (_, offset) => {
    const long = new Uint8Array(10 * 2 ** 20);
    long.set(good);
    expect(codes(long)).toEqual([undefined, undefined, undefined]);
    const image = new Patchable(long).tableEntry("B", 0, BigInt(offset));
    const { bitmaps } = open(image.bytes);
    expect(bitmaps.map(({ problem }) => problem?.code)).toEqual([undefined, "OVERLAP", undefined]);
    expect(bitmaps[1]?.problem?.message).toContain("refcount 0");
  });

  test("are not looked at where the dirty bit says that they are stale", () => {
    const image = new Patchable(good).header({ incompatibleFeatures: 1n });
    clusters.setRefcount(image.bytes, image.tableAt("B"), 0);
    expect(codes(image.bytes)).toEqual([undefined, undefined, undefined]);
    image.tableEntry("B", 0, image.readTableEntry("A", 0));
    expect(codes(image.bytes)).toEqual(["OVERLAP", "OVERLAP", undefined]);
    image.tableEntry("B", 0, BigInt(clusters["refcount block"]));
    expect(codes(image.bytes)).toEqual([undefined, "OVERLAP", undefined]);
  });

  test("that count both owners of a shared cluster do not make it good", () => {
    const image = new Patchable(good);
    const shared = image.readTableEntry("A", 0);
    clusters.setRefcount(image.bytes, Number(image.readTableEntry("B", 0)), 0);
    clusters.setRefcount(image.bytes, Number(shared), 2);
    image.tableEntry("B", 0, shared);
    expect(check(image.bytes)).toBe(0);
    expect(codes(image.bytes)).toEqual(["OVERLAP", "OVERLAP", undefined]);
  });

  test("of a cluster that two bitmaps shared until one of them was removed", () => {
    // As a program leaves it that takes the bitmap off the directory and lowers the refcounts, but does not read the others.
    const image = new Patchable(good);
    clusters.setRefcount(image.bytes, Number(image.readTableEntry("B", 0)), 0);
    expect(codes(image.bytes)).toEqual([undefined, "OVERLAP", undefined]);
    // The guest was given the cluster since.
    const reused = new Patchable(good).tableEntry("B", 0, BigInt(clusters.data));
    clusters.setRefcount(reused.bytes, Number(image.readTableEntry("B", 0)), 0);
    expect(codes(reused.bytes)).toEqual([undefined, "OVERLAP", undefined]);
  });

  test("tell nothing once QEMU had the image open for writing: it has read the wrong bits, and stored them elsewhere", () => {
    const path = at("removed.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", "-o", "cluster_size=512", path, "16M");
    qemuImg("bitmap", "--add", path, "A");
    runPeer("qemu-io", ["-f", "qcow2", "-c", "write -q 0 64k", path]);
    qemuImg("bitmap", "--disable", path, "A");
    qemuImg("bitmap", "--add", path, "B");
    runPeer("qemu-io", ["-f", "qcow2", "-c", "write -q 8M 64k", path]);
    const image = new Patchable(readFileSync(path));
    image.tableEntry("B", 0, image.readTableEntry("A", 0));
    expect(codes(image.bytes)).toEqual(["OVERLAP", "OVERLAP"]);
    writeFileSync(path, image.bytes);
    qemuImg("bitmap", "--remove", path, "A");
    const { dirty } = readAll(new Uint8Array(readFileSync(path)));
    // This is what docs/qcow2.md warns of: B is the bitmap of 8 MiB.
    expect(dirty.get("B")).toEqual([[0, 65536]]);
  });

  test.each([
    ["refcount_order 7", { refcountOrder: 7 }, "BAD_FIELD"],
    ["a refcount table at 0", { refcountTableOffset: 0n }, "BAD_FIELD"],
    ["a misaligned refcount table", { refcountTableOffset: 513n }, "MISALIGNED"],
    ["a refcount table past the end", { refcountTableOffset: 1n << 40n }, "OUT_OF_BOUNDS"],
    ["a refcount table of 8 MiB and a cluster", { refcountTableClusters: 16385, refcountTableOffset: BEHIND }, "LIMIT"],
    ["a refcount table of 8 MiB", { refcountTableClusters: 16384, refcountTableOffset: BEHIND }, "OUT_OF_BOUNDS"],
    ["an L1 table past the end", { l1TableOffset: 1n << 40n }, "OUT_OF_BOUNDS"],
    ["an L1 table of 32 MiB and an entry", { l1Size: 2 ** 22 + 1, l1TableOffset: BEHIND }, "LIMIT"],
    ["an L1 table of 32 MiB", { l1Size: 2 ** 22, l1TableOffset: BEHIND }, "OUT_OF_BOUNDS"],
    ["a snapshot table past the end", { snapshotsOffset: 1n << 40n }, "OUT_OF_BOUNDS"],
    ["65537 snapshots", { nbSnapshots: 65537, snapshotsOffset: BEHIND }, "LIMIT"],
  ] as const)("%s: what cannot be looked at is no word for any bitmap", (_, change, code) => {
    const image = new Patchable(good);
    expect(image.directoryAt).toBeLessThan(Number(BEHIND));
    const { bitmaps } = open(image.header(change).bytes);
    expect(bitmaps.map(({ problem }) => problem?.code)).toEqual([code, code, code]);
    expect(bitmaps.map(({ problem }) => problem?.where.bitmap)).toEqual(["A", "B", "C"]);
    expect(bitmaps.map(({ shapeProblem }) => shapeProblem)).toEqual([undefined, undefined, undefined]);
  });
});

test("the encryption header of an image is nobody's bitmap", () => {
  const image = new Patchable(good);
  // Behind the bitmaps extension: the pointer to an encryption header, which has the second half of A's and all of B's table.
  const extension = image.extensionAt + 24;
  image.u32(extension, 0x0537be77).u32(extension + 4, 16);
  const view = new DataView(image.bytes.buffer);
  view.setBigUint64(extension + 8, BigInt(image.tableAt("A") + 256));
  view.setBigUint64(extension + 16, BigInt(image.tableAt("B") - image.tableAt("A") - 256 + 1));
  expect(image.tableAt("A")).toBeLessThan(image.tableAt("B"));
  expect(codes(image.bytes).slice(0, 2)).toEqual(["OVERLAP", "OVERLAP"]);
  expect(open(image.bytes).bitmaps[1]?.problem?.message).toContain("the encryption header");
  view.setBigUint64(extension + 16, 1n);
  expect(codes(image.bytes)).toEqual(["OVERLAP", undefined, undefined]);
});

test("every cluster of a snapshot table of several is the table's", () => {
  const path = at("snapshots.qcow2");
  writeFileSync(path, good);
  for (let snapshot = 0; snapshot < 15; snapshot++) qemuImg("snapshot", "-c", `number ${snapshot}`, path);
  const bytes = new Uint8Array(readFileSync(path));
  const { snapshotsOffset, nbSnapshots } = new Patchable(bytes).fields;
  // QEMU writes 24 bytes of extra data, an id, and the name.
  const length = Math.ceil((nbSnapshots * (40 + 24 + 8)) / 512) * 512;
  expect(length).toBeGreaterThan(Math.ceil((nbSnapshots * 40) / 512) * 512);
  for (let at = Number(snapshotsOffset); at < Number(snapshotsOffset) + length; at += 512) {
    const { bitmaps } = open(new Patchable(bytes).tableEntry("B", 0, BigInt(at)).bytes);
    expect(bitmaps[1]?.problem?.message, `${at}`).toContain("the snapshot table");
  }
});

test("which parts of a cluster are allocated (extended L2) is no offset", () => {
  const image = new Patchable(makeImage("parts.qcow2", "cluster_size=16K,extended_l2=on"));
  const view = new DataView(image.bytes.buffer);
  const table = clustersOf(image.bytes)["L2 table"];
  let entry = table;
  while ((view.getBigUint64(entry) & 0x00fffffffffffe00n) === 0n) entry += 16;
  view.setBigUint64(entry + 8, image.readTableEntry("B", 0));
  expect(check(image.bytes)).toBe(0);
  expect(codes(image.bytes)).toEqual([undefined, undefined, undefined]);
});

/** Bitmaps of an index that are read as good. */
const usable = ({ bitmaps }: Qcow2Index): (string | undefined)[] =>
  bitmaps.filter(({ problem }) => problem === undefined).map(({ name }) => name);

/**
 * Lets one entry of each bitmap refer to other clusters of the file, about `most` of them, one after the other: since each is
 * something else's, or free, that bitmap must be refused every time. Gives how many were tried.
 */
function referElsewhere(good: Uint8Array, clusterSize: number, random: Random, most: number): number {
  const bytes = good.slice();
  const count = Math.floor(bytes.length / clusterSize);
  let tries = 0;
  for (const bitmap of open(bytes).bitmaps) {
    const map = bitmap.map();
    const entries = Array.from({ length: map.count }, (_, entry) => entry).filter(
      (entry) => map.kind(entry) === "data",
    );
    const entry = entries[random(Math.max(entries.length, 1))];
    if (entry === undefined) continue;
    const view = new DataView(bytes.buffer, bitmap.table.offset + entry * 8, 8);
    const before = view.getBigUint64(0);
    for (let cluster = 1; cluster < count; cluster += 1 + random(2 * Math.ceil(count / most) - 1)) {
      const offset = cluster * clusterSize;
      if (offset === map.offset(entry)) continue;
      view.setBigUint64(0, BigInt(offset));
      expect(usable(open(bytes)), `${bitmap.name}, entry ${entry} to ${offset}`).not.toContain(bitmap.name);
      tries++;
    }
    view.setBigUint64(0, before);
  }
  return tries;
}

/** `pnpm soak qcow2` tries more of them. */
const isSoak = process.env.QDB_SOAK === "1";

test.each([
  ["cluster_size=512", 512],
  ["cluster_size=512,refcount_bits=64", 512],
  ["cluster_size=4K", 4096],
  ["cluster_size=16K,extended_l2=on", 16384],
  ["cluster_size=512,data_file=", 512],
  ["cluster_size=4K,preallocation=metadata", 4096],
] as const)("no reference to another cluster is believed, %s", (options, clusterSize) => {
  const bytes = makeImage("elsewhere.qcow2", options.replace("data_file=", `data_file=${at("elsewhere.raw")}`));
  expect(check(bytes)).toBe(0);
  expect(referElsewhere(bytes, clusterSize, seededRandom(1), isSoak ? 400 : 200)).toBeGreaterThan(60);
});

let tries = 0;
test.each(Array.from({ length: isSoak ? 12 : 5 }, (_, seed) => seed))(
  "random image %i: no reference to another cluster is believed",
  (seed) => {
    const options = { name: `random-${seed}.qcow2`, clusterSize: 512 << (seed % 4) };
    const image = makeRandomImage(directory, seededRandom(1000 + seed), options);
    const bytes = new Uint8Array(readFileSync(image.path));
    // A leak would be a cluster that has refcount 1 and no owner.
    expect(spawnSync("qemu-img", ["check", "-q", image.path]).status).toBe(0);
    expect(usable(open(bytes))).toEqual(image.bitmaps.map(({ name }) => name));
    tries += referElsewhere(bytes, image.clusterSize, seededRandom(seed), 300);
  },
);

test("there were thousands of such references", () => {
  expect(tries).toBeGreaterThan(isSoak ? 1500 : 600);
});
