import { readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMAND, NODE, qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers, runPeer, seededRandom } from "./peers.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "strace"));

interface Setting {
  readonly file: string;
  readonly source: string;
  readonly target: string;
}

/** An old image, a new one, what differs between them, and a copy of the old one. */
function makeSetting(name: string, seed: number, size = 1 + seededRandom(seed)(3 * 2 ** 20)): Setting {
  const random = seededRandom(seed);
  const path = (part: string): string => join(directory, `${name}.${part}`);
  const before = Buffer.alloc(size, "old ");
  const after = Buffer.from(before);
  for (let count = 1 + random(20); count > 0; count--) {
    const at = random(size);
    after.fill(random(256), at, Math.min(size, at + 1 + random(50_000)));
  }
  writeFileSync(path("base"), before);
  writeFileSync(path("source"), after);
  writeFileSync(path("target"), before);
  qdb("diff", "-g", `${512 << random(9)}`, path("base"), path("source"), path("qdb"));
  return { file: path("qdb"), source: path("source"), target: path("target") };
}

test.each([1, 2, 3, 4, 5])("seed %i: the target becomes the source, and the bitmap stays", (seed) => {
  const { file, source, target } = makeSetting(`pair-${seed}`, seed);
  const before = readFileSync(file);
  qdb("copy", file, "diff", source, target);
  expect(readFileSync(target).equals(readFileSync(source))).toBe(true);
  expect(readFileSync(file).equals(before)).toBe(true);
});

test("clean ranges of the target are left alone", () => {
  const { file, source, target } = makeSetting("clean", 20);
  const mine = Buffer.alloc(statSync(target).size, "mine");
  writeFileSync(target, mine);
  qdb("copy", file, "diff", source, target);
  const expected = Buffer.from(mine);
  const map: { offset: number; length: number; type: number }[] = JSON.parse(qdb("map", "--output=json", file, "diff"));
  for (const { offset, length, type } of map) {
    if (type === 1) readFileSync(source).copy(expected, offset, offset, offset + length);
  }
  expect(readFileSync(target).equals(expected)).toBe(true);
});

test("what was written is flushed before it says so", () => {
  const { file, source, target } = makeSetting("flush", 21);
  const trace = join(directory, "trace");
  runPeer("strace", [
    "-f",
    "-s",
    "200",
    "-y",
    "-e",
    "trace=pwrite64,fsync,write",
    "-o",
    trace,
    NODE,
    COMMAND,
    "copy",
    file,
    "diff",
    source,
    target,
  ]);
  const calls = readFileSync(trace, "utf8").split("\n");
  const lastWrite = calls.findLastIndex((line) => line.includes("pwrite64") && line.includes(target));
  const flush = calls.findLastIndex((line) => line.includes("fsync") && line.includes(target));
  const said = calls.findIndex((line) => line.includes("copied and flushed"));
  expect([lastWrite >= 0, flush > lastWrite, said > flush]).toEqual([true, true, true]);
});

describe("refused, with the target as it was", () => {
  function refusedCopy(code: string, args: readonly string[], target: string): void {
    const before = readFileSync(target);
    qdbFails(code, ["copy", ...args]);
    expect(readFileSync(target).equals(before)).toBe(true);
  }

  test("another size of source or target, of an empty bitmap too", () => {
    const { file, source, target } = makeSetting("size", 30);
    const other = join(directory, "size.other");
    writeFileSync(other, Buffer.concat([readFileSync(target), Buffer.from("x")]));
    refusedCopy("SIZE_MISMATCH", [file, "diff", source, other], other);
    refusedCopy("SIZE_MISMATCH", ["--ignore-disk-change", file, "diff", other, target], target);
    const empty = join(directory, "size.empty.qdb");
    qdb("diff", source, source, empty);
    refusedCopy("SIZE_MISMATCH", [empty, "diff", source, other], other);
  });

  test("a source that is another disk, or changed since, unless told", () => {
    const { file, source, target } = makeSetting("disk", 31);
    const copy = join(directory, "disk.copy");
    writeFileSync(copy, readFileSync(source));
    refusedCopy("WRONG_DISK", [file, "diff", copy, target], target);
    utimesSync(source, 1, 1);
    refusedCopy("WRONG_DISK", [file, "diff", source, target], target);
    qdb("copy", "--ignore-disk-change", file, "diff", copy, target);
    expect(readFileSync(target).equals(readFileSync(source))).toBe(true);
  });

  test("the same file twice, missing ones, directories, another bitmap", () => {
    const { file, source, target } = makeSetting("same", 32);
    refusedCopy("USAGE", [file, "diff", source, source], source);
    refusedCopy("NOT_FOUND", [file, "diff", source, join(directory, "none")], source);
    refusedCopy("NOT_FOUND", [file, "none", source, target], target);
    refusedCopy("NOT_FOUND", [join(directory, "none"), "diff", source, target], target);
    refusedCopy("USAGE", [file, "diff", source, directory], source);
    refusedCopy("BAD_MAGIC", [source, "diff", source, target], target);
  });

  test("a target whose bytes are not the disk's, unless said to be raw", () => {
    const qcow2 = join(directory, "foreign.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", qcow2, "1M"]);
    const { file, source } = makeSetting("foreign", 33, statSync(qcow2).size);
    refusedCopy("NOT_SUPPORTED", [file, "diff", source, qcow2], qcow2);
    qdb("copy", "-f", "raw", file, "diff", source, qcow2);
  });

  test("a bitmap that is damaged at its end: nothing is copied", () => {
    const { file, source, target } = makeSetting("damaged", 34, 2 * 2 ** 20);
    const bytes = readFileSync(file);
    // The last data cluster is the last thing in the file.
    bytes[bytes.length - 4096] = (bytes[bytes.length - 4096] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    refusedCopy("BAD_CHECKSUM", [file, "diff", source, target], target);
  });
});

test("--progress=json counts to the end", () => {
  const { file, source, target } = makeSetting("progress", 40);
  const { status, stderr } = runQdb(["copy", "--progress=json", file, "diff", source, target]);
  expect(status).toBe(0);
  const reports = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const size = statSync(source).size;
  expect(reports.at(-1)).toMatchObject({ done: size, total: size, percent: 100 });
});
