// import and diff into a file that is there.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { makeRandomImage, requirePeers, runPeer, seededRandom } from "./peers.ts";
import { bitmapsOf, findingsOf } from "./reading.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io"));

let files = 0;

function writeBits(...bytes: readonly number[]): string {
  const path = join(directory, `${files++}.bits`);
  writeFileSync(path, Uint8Array.from(bytes));
  return path;
}

/** A file with the bitmaps a (16 granules of 64 KiB, the first one dirty) and b (the same, enabled, with a comment). */
function makeFile(): string {
  const path = join(directory, `${files++}.qdb`);
  const bitmap = { size: "1048576", granularity: 65536, dirty: [["0", "65536"]] };
  const extra_data = [{ type: "0x00000006", comment: "mine" }];
  const form = {
    format: "qdb",
    header: { form: "full", cluster_bits: 12 },
    bitmaps: [
      { name: "a", ...bitmap },
      { name: "b", ...bitmap, flags: ["enabled"], extra_data },
    ],
  };
  expect(runQdb(["load", "-", path], { input: JSON.stringify(form) })).toMatchObject({ status: 0, stderr: "" });
  return path;
}

function importBits(path: string, name: string, bits: string, ...options: readonly string[]): string[] {
  const shape = options.includes("-g") ? [] : ["-g", "64K", "--size", "1M"];
  return ["import", "--from=raw-bits", ...shape, ...options, "-B", name, bits, path];
}

function refused(code: string, path: string, args: readonly string[]): string {
  const before = readFileSync(path);
  const names = readdirSync(directory);
  const line = qdbFails(code, args);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(directory)).toEqual(names);
  return line;
}

test("an import goes behind what is there, which stays as it is, and is one commit", async () => {
  const path = makeFile();
  const before = await bitmapsOf(path);
  const image = makeRandomImage(directory, seededRandom(3), { name: "several.qcow2", bitmaps: 4 });
  qdb("import", image.path, path);
  const alone = join(directory, "alone.qdb");
  qdb("import", image.path, alone);
  const now = await bitmapsOf(path);
  expect(now.slice(0, 2)).toEqual(before);
  const facts = (bitmaps: typeof now): object[] =>
    bitmaps.map(({ name, size, granularity, flags, dirty }) => ({ name, size, granularity, flags, dirty }));
  expect(facts(now.slice(2))).toEqual(facts(await bitmapsOf(alone)));
  expect(JSON.parse(qdb("info", "--output=json", path))).toMatchObject({ generation: "2" });
  expect(await findingsOf(path)).toEqual([]);
});

test("a name that is there is refused, and none of the others goes in", () => {
  const path = makeFile();
  expect(refused("ALREADY_EXISTS", path, importBits(path, "a", writeBits(1, 0)))).toMatch(/--merge or --replace/);
  const image = join(directory, "names.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "1M"]);
  for (const name of ["x", "b"]) runPeer("qemu-img", ["bitmap", "--add", image, name]);
  refused("ALREADY_EXISTS", path, ["import", image, path]);
  refused("USAGE", path, importBits(path, "a", writeBits(1, 0), "--merge", "--replace"));
});

test("--merge adds the dirt, rounded outward, and leaves the rest of the bitmap alone", async () => {
  const path = makeFile();
  const before = await bitmapsOf(path);
  const line = qdb(...importBits(path, "b", writeBits(0, 0x80), "--merge"));
  expect(line).toBe('"b": 128 KiB of 1 MiB dirty (12.5 %), granularity 64 KiB, enabled\n');
  const finer = writeBits(...new Array(8).fill(0), 1, ...new Array(23).fill(0));
  qdb(...importBits(path, "b", finer, "--merge", "-g", "4K", "--size", "1M"));
  qdb(...importBits(path, "new", writeBits(2, 0), "--merge"));
  const now = await bitmapsOf(path);
  expect(now[0]).toEqual(before[0]);
  const dirty = [
    ["0", "65536"],
    ["262144", "65536"],
    ["983040", "65536"],
  ];
  expect(now[1]).toMatchObject({
    name: "b",
    granularity: 65536,
    flags: ["enabled"],
    extra_data: before[1]?.extra_data,
    dirty,
  });
  expect(now[2]).toMatchObject({ name: "new", dirty: [["65536", "65536"]] });
});

test("--merge refuses another disk size, and bits that cannot be used on either side", () => {
  const path = makeFile();
  expect(
    refused("SIZE_MISMATCH", path, importBits(path, "a", writeBits(1), "--merge", "-g", "64K", "--size", "512K")),
  ).toContain("524288");
  const image = join(directory, "inconsistent.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "1M"]);
  runPeer("qemu-img", ["bitmap", "--add", image, "a"]);
  // It dies with the bitmap in use.
  expect(() => runPeer("qemu-io", ["-c", "abort", image])).toThrow();
  expect(refused("INCONSISTENT", path, ["import", "--merge", image, path])).toContain("mark-all");
  qdb("import", "--merge", "--inconsistent=mark-all", image, path);
  expect(qdb("map", path, "a")).toMatch(/^ +0 +1048576 +1 +dirty\n$/);
  qdb("import", "--replace", image, path);
  refused("INCONSISTENT", path, importBits(path, "a", writeBits(1, 0), "--merge"));
  qdb(...importBits(path, "a", writeBits(1, 0), "--replace"));
  expect(qdb("map", path, "a")).toMatch(/^ +0 +65536 +1 +dirty\n/);
});

test("--replace puts the new one in its place, with what belongs to it", async () => {
  const path = makeFile();
  const before = await bitmapsOf(path);
  qdb(...importBits(path, "b", writeBits(6), "--replace", "-g", "128K", "--size", "1M"));
  const now = await bitmapsOf(path);
  expect(now[0]).toEqual(before[0]);
  expect(now[1]).toMatchObject({ name: "b", granularity: 131072, flags: [], dirty: [["131072", "262144"]] });
  expect(now[1]?.extra_data.map(({ type }) => type)).toEqual(["0x00000003", "0x00000005"]);
  qdb("bitmap", "--freeze", "c", path, "b");
  for (const name of ["b", "c"]) refused("USAGE", path, importBits(path, name, writeBits(1, 0), "--replace"));
});

test("diff goes into a file that is there, under a name that is not", async () => {
  const path = makeFile();
  const before = await bitmapsOf(path);
  const [base, current] = ["base.raw", "current.raw"].map((name) => join(directory, name)) as [string, string];
  const disk = Buffer.alloc(300_000);
  writeFileSync(base, disk);
  disk[200_000] = 1;
  writeFileSync(current, disk);
  qdb("diff", "-B", "c", base, current, path);
  const now = await bitmapsOf(path);
  expect(now.slice(0, 2)).toEqual(before);
  expect(now[2]).toMatchObject({ name: "c", size: "300000", dirty: [["196608", "65536"]] });
  // Said before the images are read: none of them is there.
  expect(refused("ALREADY_EXISTS", path, ["diff", "-B", "c", "none", "none", path])).toContain("-B");
  refused("NOT_FOUND", path, ["diff", "-B", "d", "none", "none", path]);
});

test("what is no QDB file, or a damaged one, is not written to", () => {
  const path = makeFile();
  const bits = writeBits(1, 0);
  refused("BAD_MAGIC", bits, importBits(bits, "c", bits));
  const bytes = readFileSync(path);
  bytes[8192] = 0xff;
  writeFileSync(path, bytes);
  refused("BAD_CHECKSUM", path, importBits(path, "c", bits));
  refused("BAD_CHECKSUM", path, ["bitmap", "--clear", path, "a"]);
  qdbFails("USAGE", importBits(directory, "c", bits));
  qdbFails("USAGE", importBits("-", "c", bits));
});

test("a draft file becomes a full one", async () => {
  const path = join(directory, "draft.qdb");
  expect(runQdb(["load", "--draft", "-", path], { input: qdb("dump", makeFile()) }).status).toBe(0);
  qdb(...importBits(path, "c", writeBits(1, 0)));
  expect((await bitmapsOf(path)).map(({ name }) => name)).toEqual(["a", "b", "c"]);
  expect(JSON.parse(qdb("info", "--output=json", path))).toMatchObject({ form: "full" });
});
