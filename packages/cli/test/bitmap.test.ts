import { chmodSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers, runPeer } from "./peers.ts";
import { bitmapsOf } from "./reading.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io"));

let files = 0;

/** A file with the bitmaps a (clean, 1 MiB at 64 KiB, enabled) and b (all dirty, disabled). */
function makeFile(...options: readonly string[]): string {
  const path = join(directory, `file-${files++}.qdb`);
  qdb("create", ...options, path);
  qdb("bitmap", "--add", "--size", "1M", path, "a");
  qdb("bitmap", "--add", "--size", "1M", "--mark-all", "--disable", path, "b");
  return path;
}

/** Runs a call that must be refused and leave the file byte for byte as it was, and the directory too. */
function refused(code: string, path: string, ...args: readonly string[]): string {
  const before = readFileSync(path);
  const names = readdirSync(directory);
  const line = qdbFails(code, ["bitmap", ...args]);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(directory)).toEqual(names);
  return line;
}

describe("--add", () => {
  test("makes a clean, enabled bitmap at 64 KiB, with an id and a time", async () => {
    const path = makeFile();
    const [a, b] = await bitmapsOf(path);
    expect(a).toMatchObject({ name: "a", size: "1048576", granularity: 65536, flags: ["enabled"], dirty: [] });
    expect(b).toMatchObject({ name: "b", flags: [], dirty: [["0", "1048576"]] });
    expect(a?.extra_data.map(({ type }) => type)).toEqual(["0x00000003", "0x00000005"]);
    expect(a?.extra_data[0]?.id).not.toBe(b?.extra_data[0]?.id);
  });

  test("takes granularity, size with suffixes, or the disk, which it remembers", async () => {
    const path = makeFile();
    qdb("bitmap", "--add", "-g", "4k", "--size", "16G", path, "sized");
    const disk = join(directory, "add.raw");
    writeFileSync(disk, "");
    truncateSync(disk, 123_456);
    qdb("bitmap", "--add", "--disk", disk, path, "of a disk");
    const [sized, ofDisk] = (await bitmapsOf(path)).slice(2);
    expect(sized).toMatchObject({ size: `${2 ** 34}`, granularity: 4096 });
    const { mtimeNs, ino } = statSync(disk, { bigint: true });
    expect(ofDisk).toMatchObject({ size: "123456", granularity: 65536 });
    expect(ofDisk?.extra_data.slice(0, 2)).toEqual([
      { type: "0x00000001", disk },
      { type: "0x00000002", length: "123456", mtime: `${mtimeNs}`, file: `${ino}` },
    ]);
  });

  test("is refused without a size, with two, for a name that is there, for a shape that no bitmap has", () => {
    const path = makeFile();
    const image = join(directory, "add.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "1M"]);
    expect(refused("USAGE", path, "--add", path, "c")).toContain("--size");
    refused("USAGE", path, "--add", "--size", "1M", "--disk", path, path, "c");
    refused("NOT_SUPPORTED", path, "--add", "--disk", image, path, "c");
    refused("NOT_FOUND", path, "--add", "--disk", join(directory, "none"), path, "c");
    refused("ALREADY_EXISTS", path, "--add", "--size", "1M", path, "a");
    refused("USAGE", path, "--add", "--size", "1M", "-g", "100", path, "c");
    refused("USAGE", path, "--add", "--size", "8E", path, "c");
    refused("LIMIT", path, "--add", "--size", "4P", "-g", "512", path, "c");
    refused("USAGE", path, "--add", "--size", "1M", path, "x".repeat(1024));
    refused("USAGE", path, "--add", "--size", "1M", path, "");
  });

  test("makes no file", () => {
    const path = join(directory, "none.qdb");
    expect(qdbFails("NOT_FOUND", ["bitmap", "--add", "--size", "1M", path, "a"])).toContain("none.qdb");
    expect(readdirSync(directory)).not.toContain("none.qdb");
  });
});

describe("the command line", () => {
  test("what means nothing is refused, before the file is looked at", () => {
    const none = join(directory, "none.qdb");
    for (const args of [
      [],
      ["--new-area=clean", "--clear"],
      ["-g", "64K", "--clear"],
      ["--size", "1M", "--clear"],
      ["--disk", none, "--clear"],
      ["-b", none, "--clear"],
      ["--mark", "1"],
      ["--mark", "1+2+3"],
      ["--mark", "a+b"],
      ["--mark=-1+2"],
      ["--unmark", "+"],
      ["--release"],
      ["--release=perhaps"],
      ["--new-area=some", "--resize", "1M"],
      ["--rename", ""],
      ["--freeze", "x".repeat(1024)],
      ["--regranulate", "1000"],
      ["--regranulate", "4G"],
      ["--resize", "big"],
    ])
      qdbFails("USAGE", ["bitmap", ...args, none, "a"]);
    qdbFails("USAGE", ["bitmap", "--clear", none]);
    qdbFails("USAGE", ["bitmap", "--clear", "-", "a"]);
    qdbFails("NOT_FOUND", ["bitmap", "--clear", none, "a"]);
  });

  test("actions are done in the order given, and after --rename on the new name", async () => {
    const path = makeFile();
    qdb(
      "bitmap",
      "--mark-all",
      "--clear",
      "--mark",
      "64k+1",
      "--rename",
      "c",
      "--mark",
      "1M+0",
      "--unmark=0+1M",
      "--mark",
      "0+1",
      "--disable",
      path,
      "a",
    );
    expect((await bitmapsOf(path))[0]).toMatchObject({ name: "c", flags: [], dirty: [["0", "65536"]] });
    qdb("bitmap", "--remove", "--add", "--size", "2M", path, "c");
    expect((await bitmapsOf(path)).map(({ name, size }) => [name, size])).toEqual([
      ["b", "1048576"],
      ["c", "2097152"],
    ]);
  });

  test.each<[code: string, last: readonly string[]]>([
    ["ALREADY_EXISTS", ["--rename", "b"]],
    ["ALREADY_EXISTS", ["--add", "--size", "1M"]],
    ["NOT_FOUND", ["--merge", "none"]],
    ["NOT_FOUND", ["--remove", "--clear"]],
    ["SIZE_MISMATCH", ["--resize", "2M", "--merge", "b"]],
    ["LIMIT", ["--resize", "1P", "--regranulate", "512"]],
    ["USAGE", ["--mark", "1M+1"]],
    ["USAGE", ["--release=done"]],
    ["USAGE", ["--regranulate", "4K", "--xor", "b"]],
    ["USAGE", ["--freeze", "next", "--clear"]],
  ])("a last action that is refused (%s) takes those before it with it: %s", (code, last) => {
    const path = makeFile();
    refused(code, path, "--mark-all", "--disable", ...last, path, "a");
  });

  test("a name that could act on a terminal is escaped in what is said of it", () => {
    const path = makeFile();
    expect(refused("NOT_FOUND", path, "--clear", path, "\u001b[31m\u202e")).toContain(String.raw`"\x1b[31m\u202e"`);
  });
});

describe("sources", () => {
  /** A raw file of bits as a bitmap of a file of its own. */
  function sourceFile(name: string, granularity: string, bytes: readonly number[], size = "1M"): string {
    const bits = join(directory, `${name}.bits`);
    const path = join(directory, `${name}.qdb`);
    writeFileSync(bits, Uint8Array.from(bytes));
    qdb("import", "--from", "raw-bits", "-g", granularity, "--size", size, "-B", "s", bits, path);
    return path;
  }

  async function dirtyAfter(source: string, ...actions: readonly string[]): Promise<unknown> {
    const path = makeFile();
    qdb("bitmap", ...actions, "-b", source, path, "a");
    return (await bitmapsOf(path))[0]?.dirty;
  }

  // Bits 0-15 of 4 KiB are one granule of 64 KiB; 16 and 17 a part of the second.
  const fine = (): string => sourceFile(`fine-${files++}`, "4K", [255, 255, 3, ...new Array(29).fill(0)]);
  const all = ["0", "1048576"];

  test("finer ones: merged and intersected outward, subtracted inward, exclusive only at one granularity", async () => {
    const source = fine();
    expect(await dirtyAfter(source, "--merge", "s")).toEqual([["0", "131072"]]);
    expect(await dirtyAfter(source, "--mark-all", "--intersect", "s")).toEqual([["0", "131072"]]);
    expect(await dirtyAfter(source, "--mark-all", "--subtract", "s")).toEqual([["65536", "983040"]]);
    const path = makeFile();
    refused("USAGE", path, "--xor", "s", "-b", source, path, "a");
    expect(await dirtyAfter(source, "--regranulate", "4K", "--mark-all", "--xor", "s")).toEqual([["73728", "974848"]]);
  });

  test("coarser ones are exact", async () => {
    const source = sourceFile("coarse", "512K", [1]);
    expect(await dirtyAfter(source, "--merge", "s")).toEqual([["0", "524288"]]);
    expect(await dirtyAfter(source, "--mark-all", "--intersect", "s")).toEqual([["0", "524288"]]);
    expect(await dirtyAfter(source, "--mark-all", "--subtract", "s")).toEqual([["524288", "524288"]]);
  });

  test("subtracting a finer one looks at the short last granule as it is", async () => {
    const source = sourceFile("tail", "512", [...new Array(4).fill(0), 255, 255, 255, 255, 1], "33000");
    const path = makeFile();
    qdb(
      "bitmap",
      "--resize",
      "33000",
      "--regranulate",
      "16K",
      "--mark-all",
      "--subtract",
      "s",
      "-b",
      source,
      path,
      "a",
    );
    expect((await bitmapsOf(path))[0]?.dirty).toEqual([["0", "16384"]]);
  });

  test("the bitmap itself: merged it stays, subtracted and exclusive it is clean", async () => {
    const path = makeFile();
    qdb("bitmap", "--merge", "b", path, "b");
    expect((await bitmapsOf(path))[1]?.dirty).toEqual([all]);
    qdb("bitmap", "--xor", "b", path, "b");
    expect((await bitmapsOf(path))[1]?.dirty).toEqual([]);
    qdb("bitmap", "--mark-all", "--subtract", "b", path, "b");
    expect((await bitmapsOf(path))[1]?.dirty).toEqual([]);
  });

  test("one of another size, an inconsistent one, and a file that is none are refused; the message names the source's file", () => {
    const path = makeFile();
    const line = refused(
      "SIZE_MISMATCH",
      path,
      "--merge",
      "s",
      "-b",
      sourceFile("other", "64K", [1], "512K"),
      path,
      "a",
    );
    expect(line).toContain("524288");
    expect(line).toContain('the source is "s"');
    expect(refused("NOT_FOUND", path, "--merge", "x", "-b", fine(), path, "a")).toContain("fine-");
    expect(refused("NOT_FOUND", path, "--merge", "x", "-b", join(directory, "none"), path, "a")).toContain('none"');
    expect(refused("BAD_MAGIC", path, "--merge", "x", "-b", join(directory, "other.bits"), path, "a")).toContain(
      "other.bits",
    );
    const image = join(directory, "inconsistent.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "1M"]);
    runPeer("qemu-img", ["bitmap", "--add", image, "s"]);
    const killed = ["-c", "abort", image];
    expect(exitOf("qemu-io", killed)).not.toBe(0);
    expect(refused("INCONSISTENT", path, "--merge", "s", "-b", image, path, "a")).toContain("inconsistent.qcow2");
    expect(refused("NOT_FOUND", path, "--merge", "t", "-b", image, path, "a")).toContain("inconsistent.qcow2");
    const inUse = join(directory, "in-use.qdb");
    qdb("import", image, inUse);
    refused("INCONSISTENT", path, "--merge", "s", "-b", inUse, path, "a");
    refused("INCONSISTENT", inUse, "--add", "--size", "1M", "--merge", "s", inUse, "a");
  });

  test("one whose disk changed since is refused, unless insisted", async () => {
    const disk = join(directory, "changed.raw");
    writeFileSync(disk, Buffer.alloc(2 ** 20));
    const path = makeFile();
    qdb("bitmap", "--add", "--disk", disk, "--mark", "0+1", path, "d");
    qdb("bitmap", "--merge", "d", path, "a");
    utimesSync(disk, 1, 1);
    for (const action of ["--merge", "--intersect", "--subtract", "--xor"]) {
      refused("WRONG_DISK", path, action, "d", path, "a");
      const other = makeFile();
      refused("WRONG_DISK", other, action, "d", "-b", path, other, "a");
    }
    qdb("bitmap", "--subtract", "d", "--ignore-disk-change", path, "a");
    expect((await bitmapsOf(path))[0]?.dirty).toEqual([]);
  });
});

describe("states", () => {
  test("an inconsistent bitmap can be removed, renamed and marked all dirty, nothing else", async () => {
    const image = join(directory, "killed.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", image, "1M"]);
    runPeer("qemu-img", ["bitmap", "--add", image, "s"]);
    exitOf("qemu-io", ["-c", "abort", image]);
    const path = join(directory, "killed.qdb");
    qdb("import", image, path);
    for (const action of [
      "--clear",
      "--enable",
      "--disable",
      "--invert",
      "--mark=0+1",
      "--unmark=0+1",
      "--resize=2M",
      "--regranulate=4K",
      "--freeze=n",
    ])
      refused("INCONSISTENT", path, action, path, "s");
    qdb("bitmap", "--rename", "t", path, "s");
    qdb("bitmap", "--mark-all", "--unmark", "0+64K", path, "t");
    expect(await bitmapsOf(path)).toMatchObject([{ name: "t", flags: ["enabled"], dirty: [["65536", "983040"]] }]);
    qdb("bitmap", "--remove", path, "t");
    expect(await bitmapsOf(path)).toEqual([]);
  });

  test("freeze and release: the successor collects, and a failed backup loses nothing", async () => {
    const path = makeFile();
    qdb("bitmap", "--mark", "0+1", "--freeze", "next", path, "a");
    expect(await bitmapsOf(path)).toMatchObject([
      { name: "a", flags: ["frozen"], dirty: [["0", "65536"]] },
      { name: "b" },
      { name: "next", flags: ["enabled"], dirty: [] },
    ]);
    refused("USAGE", path, "--remove", path, "next");
    refused("USAGE", path, "--resize", "2M", path, "next");
    for (const action of ["--clear", "--enable", "--unmark=0+1M", "--invert", "--freeze=more", "--resize=2M"])
      refused("USAGE", path, action, path, "a");
    qdb("bitmap", "--mark", "512K+1", "--rename", "later", path, "next");
    qdb("bitmap", "--release=failed", path, "a");
    expect(await bitmapsOf(path)).toMatchObject([
      { name: "b" },
      {
        name: "later",
        flags: ["enabled"],
        dirty: [
          ["0", "65536"],
          ["524288", "65536"],
        ],
      },
    ]);
    qdb("bitmap", "--freeze", "next", path, "later");
    qdb("bitmap", "--release=done", path, "later");
    expect(await bitmapsOf(path)).toMatchObject([{ name: "b" }, { name: "next", dirty: [] }]);
  });

  test("what removes dirt makes a new point of the chain, what adds it does not", async () => {
    const path = makeFile();
    const records = async (): Promise<readonly object[]> => (await bitmapsOf(path))[1]?.extra_data ?? [];
    const [first] = await records();
    qdb("bitmap", "--mark", "0+1", "--merge", "a", "--regranulate", "4K", "--resize", "2M", "--enable", path, "b");
    expect((await records())[0]).toEqual(first);
    qdb("bitmap", "--unmark", "0+64K", path, "b");
    const [id, created, parent] = await records();
    expect(id).not.toEqual(first);
    expect(created).toMatchObject({ type: "0x00000005" });
    expect(parent).toEqual({ type: "0x00000004", parent: (first as { id: string }).id });
  });

  test("a draft file is rewritten whole, in full form, with its mode", async () => {
    const full = makeFile();
    const path = join(directory, "draft.qdb");
    expect(runQdb(["load", "--draft", "-", path], { input: qdb("dump", full) }).status).toBe(0);
    chmodSync(path, 0o640);
    const { ino } = statSync(path);
    qdb("bitmap", "--mark", "0+1", path, "a");
    expect(JSON.parse(qdb("info", "--output=json", path))).toMatchObject({ form: "full", unprotected: false });
    expect(await bitmapsOf(path)).toMatchObject([{ dirty: [["0", "65536"]] }, { dirty: [["0", "1048576"]] }]);
    expect(statSync(path)).toMatchObject({ mode: 0o100640 });
    expect(statSync(path).ino).not.toBe(ino);
    expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

/** Runs a program that may fail, and gives its exit code. */
function exitOf(program: string, args: readonly string[]): number {
  try {
    runPeer(program, args);
    return 0;
  } catch {
    return 1;
  }
}
