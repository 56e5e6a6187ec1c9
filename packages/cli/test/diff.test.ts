import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMAND, NODE, qdb, qdbFails, temporaryDirectory } from "./built.ts";
import { type Random, requirePeers, runPeer, seededRandom } from "./peers.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("cmp", "qemu-img"));

/** Bytes that differ, as cmp counts them, from 0; what only one file has is not among them. */
function cmpBytes(base: string, current: string): number[] {
  const { stdout } = spawnSync("cmp", ["-l", base, current], { encoding: "utf8", maxBuffer: 2 ** 30 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Number(line.trim().split(/\s+/)[0]) - 1);
}

/** The dirty granules of a bitmap. */
function dirtyGranules(file: string, name: string, granularity: number): number[] {
  const map: { offset: number; length: number; type: number }[] = JSON.parse(qdb("map", "--output=json", file, name));
  return map
    .filter(({ type }) => type === 1)
    .flatMap(({ offset, length }) =>
      Array.from({ length: Math.ceil(length / granularity) }, (_, index) => offset / granularity + index),
    );
}

function unique(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/** Writes an image of zeros and random bytes, and another one that differs in a few places and, at times, in length. */
function makePair(name: string, random: Random): { base: string; current: string } {
  const size = 1 + random(3 * 2 ** 20);
  const before = Buffer.alloc(size);
  for (let count = random(20); count > 0; count--) before.fill(1 + random(255), random(size), random(size));
  const after = Buffer.from(before);
  for (let count = random(12); count > 0; count--) {
    const at = random(size);
    after.fill(random(256), at, Math.min(size, at + 1 + random(random(2) === 0 ? 3 : 100_000)));
  }
  const length = random(3) === 0 ? random(4 * 2 ** 20) : size;
  const base = join(directory, `${name}.base`);
  const current = join(directory, `${name}.current`);
  writeFileSync(base, before);
  writeFileSync(current, after.subarray(0, length));
  if (length > size) truncateSync(current, length);
  return { base, current };
}

describe("against cmp -l", () => {
  test.each(Array.from({ length: 16 }, (_, seed) => seed))("seed %i", (seed) => {
    const random = seededRandom(seed);
    const { base, current } = makePair(`pair-${seed}`, random);
    const granularity = 512 << random(9);
    const file = join(directory, `pair-${seed}.qdb`);
    qdb("diff", "-g", `${granularity}`, base, current, file);
    const old = statSync(base).size;
    const now = statSync(current).size;
    const bytes = cmpBytes(base, current).filter((byte) => byte < now);
    // What only one of them has is dirty: a longer disk from its old end on, a shorter one where it ends inside a granule.
    if (now > old)
      for (let byte = old; byte < now; byte += Math.min(granularity, Math.max(1, now - 1 - byte))) bytes.push(byte);
    if (now < old && now % granularity !== 0) bytes.push(now);
    expect(dirtyGranules(file, "diff", granularity)).toEqual(
      unique(bytes.map((byte) => Math.floor(byte / granularity))),
    );
  });

  test("images of one content differ nowhere, at 64 KiB unless told", () => {
    const { base } = makePair("same", seededRandom(99));
    const current = join(directory, "same.copy");
    writeFileSync(current, readFileSync(base));
    const file = join(directory, "same.qdb");
    expect(qdb("diff", "-B", "nothing", base, current, file)).toContain('"nothing": 0 B of');
    expect(dirtyGranules(file, "nothing", 65536)).toEqual([]);
    expect(JSON.parse(qdb("dump", file)).bitmaps[0]).toMatchObject({ granularity: 65536, flags: [] });
  });
});

test("it remembers the disk, and a later change makes it doubtful", () => {
  const { base, current } = makePair("stamp", seededRandom(5));
  const file = join(directory, "stamp.qdb");
  qdb("diff", base, current, file);
  const { size, mtimeNs, ino } = statSync(current, { bigint: true });
  expect(JSON.parse(qdb("dump", file)).bitmaps[0].extra_data.slice(0, 2)).toEqual([
    { type: "0x00000001", disk: current },
    { type: "0x00000002", length: String(size), mtime: String(mtimeNs), file: String(ino) },
  ]);
  qdb("map", file, "diff");
  utimesSync(current, 1, 1);
  qdbFails("WRONG_DISK", ["map", file, "diff"]);
});

describe("long images are compared by several threads", () => {
  const file = join(directory, "long.qdb");
  const base = join(directory, "long.base");
  const current = join(directory, "long.current");
  const log = join(directory, "long.log");
  /** Long enough for a thread to start meanwhile, on a machine that is busy too. Holes take no space. */
  const SIZE = 2 ** 32;
  const STEP = 2 ** 29;
  beforeAll(() => {
    requirePeers("strace");
    for (const path of [base, current]) {
      writeFileSync(path, "");
      truncateSync(path, SIZE);
    }
    const fd = openSync(current, "r+");
    for (let at = 0; at < SIZE; at += STEP) writeSync(fd, "x", at + 70_000);
    closeSync(fd);
    for (const path of [base, current]) utimesSync(path, 1, 1);
  });

  /** Runs Node under strace, which tells the reads of one image and lets some of them fail. */
  function traced(args: readonly string[], faults: readonly string[] = []) {
    const options = ["-f", "-qq", "-o", log, "-P", current, "-e", "trace=pread64", ...faults];
    const env = { ...process.env, NODE_OPTIONS: undefined };
    const cwd = fileURLToPath(new URL("..", import.meta.url));
    const { status, stdout, stderr } = spawnSync("strace", [...options, NODE, ...args], { encoding: "utf8", env, cwd });
    const reads = readFileSync(log, "utf8").match(/^\d+ +pread64.* = 262144$/gm) ?? [];
    return { status, stdout, stderr, readers: new Set(reads.map((line) => line.split(" ")[0])).size };
  }
  const readers = Math.min(availableParallelism(), 4);

  test("by the command", () => {
    const { stdout, ...ended } = traced([COMMAND, "diff", base, current, file]);
    expect(ended).toEqual({ status: 0, stderr: "", readers });
    const wanted = Array.from({ length: SIZE / STEP }, (_, at) => (at * STEP) / 65536 + 1);
    expect(dirtyGranules(file, "diff", 65536)).toEqual(wanted);
    rmSync(file);
  });

  test("by the built library", () => {
    const program = `import { diffImages } from "@qdb/io-node";
      const [base, current] = process.argv.slice(1);
      console.log((await diffImages(base, current, { granularity: 65536 })).count());`;
    const ended = traced(["--input-type=module", "-e", program, base, current]);
    expect(ended).toEqual({ status: 0, stdout: `${SIZE / STEP}\n`, stderr: "", readers });
  });

  test("and a read that fails is told, whichever thread makes it", () => {
    // Reads are counted in each thread.
    const faults = ["-e", "inject=pread64:error=EIO:when=50+"];
    const { status, stdout, stderr } = traced([COMMAND, "diff", base, current, file], faults);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^qdb: \[IO\] cannot read "[^"]*long\.current": EIO: i\/o error\n$/);
    expect(readdirSync(directory).filter((name) => name.startsWith("long.q"))).toEqual([]);
  });
});

test("an image that is written meanwhile: nothing is stored", async () => {
  const base = join(directory, "busy.base");
  const current = join(directory, "busy.current");
  for (const path of [base, current]) {
    writeFileSync(path, "");
    truncateSync(path, 2 ** 30);
  }
  const file = join(directory, "busy.qdb");
  const command = spawn(NODE, [COMMAND, "diff", "--progress=json", base, current, file]);
  const lines: string[] = [];
  for await (const line of createInterface({ input: command.stderr })) {
    // The first report comes in the middle of the work.
    if (lines.length === 0) {
      expect(JSON.parse(line)).toMatchObject({ progress: "comparing", total: 2 ** 30 });
      expect(JSON.parse(line).percent).toBeLessThan(100);
      const fd = openSync(current, "r+");
      writeSync(fd, "x", 0);
      closeSync(fd);
    }
    lines.push(line);
  }
  expect(lines.at(-1)).toMatch(/^qdb: \[SOURCE_CHANGED\] /);
  expect(command.exitCode ?? (await once(command, "exit"))[0]).toBe(1);
  expect(readdirSync(directory).filter((name) => name.startsWith("busy.q") || name.endsWith(".tmp"))).toEqual([]);
});

test("images whose bytes are not the disk's are refused, unless said to be raw", () => {
  const { base } = makePair("foreign", seededRandom(6));
  for (const format of ["qcow2", "vmdk", "vhdx", "vdi"]) {
    const image = join(directory, `foreign.${format}`);
    runPeer("qemu-img", ["create", "-q", "-f", format, image, "1M"]);
    const file = join(directory, `foreign-${format}.qdb`);
    expect(qdbFails("NOT_SUPPORTED", ["diff", base, image, file])).toContain("-f raw");
    qdbFails("NOT_SUPPORTED", ["diff", image, base, file]);
    qdb("diff", "-f", "raw", base, image, file);
  }
});

test("wrong calls leave everything as it is", () => {
  const { base, current } = makePair("refused", seededRandom(7));
  const before = readdirSync(directory);
  const target = join(directory, "refused.qdb");
  qdbFails("BAD_MAGIC", ["diff", join(directory, "none"), current, base]);
  qdbFails("NOT_FOUND", ["diff", join(directory, "none"), current, target]);
  qdbFails("USAGE", ["diff", directory, current, target]);
  qdbFails("USAGE", ["diff", "-g", "100", base, current, target]);
  qdbFails("USAGE", ["diff", "-g", "4G", base, current, target]);
  qdbFails("USAGE", ["diff", "-f", "qcow2", base, current, target]);
  qdbFails("USAGE", ["diff", base, current]);
  qdbFails("USAGE", ["diff", "-B", "", base, current, target]);
  expect(readdirSync(directory)).toEqual(before);
});
