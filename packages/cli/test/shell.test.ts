// The shell: QEMU collects for the bitmaps of a raw disk in a qcow2 image, and the QDB file takes the bits back.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { qdb, qdbFails, temporaryDirectory } from "./built.ts";
import { type Random, requirePeers, runPeer, seededRandom } from "./peers.ts";

const ROUNDS = process.env.QDB_SOAK === "1" ? 50 : 5;

const directory = temporaryDirectory();
const at = (name: string): string => join(directory, name);
const [disk, file, shell, socket] = [at("disk.raw"), at("vm.qdb"), at("shell.qcow2"), at("nbd")];

beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon", "strace"));
beforeEach(() => {
  for (const name of readdirSync(directory)) rmSync(at(name), { force: true });
});

const digest = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

/** Makes a raw disk of random bytes, which was written to a while ago. */
function makeDisk(size: number, random: Random): void {
  const bytes = Buffer.alloc(size);
  for (let place = 0; place < size; place++) bytes[place] = random(256);
  writeFileSync(disk, bytes);
  utimesSync(disk, 1_700_000_000, 1_700_000_000);
}

/** A bitmap as `qdb info` has it. */
interface Info {
  readonly name: string;
  readonly id: string;
  readonly flags: readonly string[];
  readonly session?: unknown;
}

const infoOf = (): Info[] => (JSON.parse(qdb("info", "--output=json", file)) as { bitmaps: Info[] }).bitmaps;
const exportShell = (...more: readonly string[]): string =>
  qdb("export", "--to", "qcow2-shell", "--data-file", disk, ...more, file, shell);
const collect = (): string => qdb("import", shell, file);

/** Runs qemu-storage-daemon on the shell, with an NBD export of the disk, until `stop` is called. */
async function startDaemon(): Promise<{ readonly process: ChildProcess; stop(): Promise<void> }> {
  rmSync(socket, { force: true });
  const daemon = spawn(
    "qemu-storage-daemon",
    [
      ...["--blockdev", `driver=qcow2,node-name=disk0,file.driver=file,file.filename=${shell}`],
      ...["--nbd-server", `addr.type=unix,addr.path=${socket}`],
      ...["--export", "type=nbd,id=export0,node-name=disk0,name=disk0,writable=on"],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  for (let tries = 0; !existsSync(socket); tries++) {
    if (tries > 500 || daemon.exitCode !== null) throw new Error("qemu-storage-daemon did not start");
    await sleep(10);
  }
  return {
    process: daemon,
    async stop() {
      daemon.kill("SIGTERM");
      if (daemon.exitCode === null) await new Promise((ended) => daemon.once("exit", ended));
    },
  };
}

/** Writes to the disk through the daemon. */
function write(offset: number, length: number, pattern: number): void {
  runPeer("qemu-io", [
    "-f",
    "raw",
    "-c",
    `write -P ${pattern} ${offset} ${length}`,
    `nbd+unix:///disk0?socket=${socket}`,
  ]);
}

/** The dirty granules of a bitmap. */
function dirtyGranules(name: string, granularity: number, ...options: readonly string[]): number[] {
  const extents = JSON.parse(qdb("map", "--output=json", ...options, file, name)) as {
    offset: number;
    length: number;
    type: number;
  }[];
  const granules: number[] = [];
  for (const { offset, length, type } of extents) {
    if (type !== 1) continue;
    for (let granule = offset / granularity; granule * granularity < offset + length; granule++) granules.push(granule);
  }
  return granules;
}

test.each(Array.from({ length: ROUNDS }, (_, seed) => seed))("round %i: old dirt and what QEMU wrote", async (seed) => {
  const random = seededRandom(4000 + seed);
  const size = 512 * (8 + random(6000)) + (random(2) === 0 ? 0 : 1 + random(511));
  makeDisk(size, random);
  const bytes = readFileSync(disk);
  qdb("create", file);
  const bitmaps = new Map<string, { readonly granularity: number; readonly dirty: Set<number> }>();
  const touch = (offset: number, length: number, only?: string): void => {
    for (const [name, { granularity, dirty }] of bitmaps) {
      if (only !== undefined && name !== only) continue;
      for (let granule = Math.floor(offset / granularity); granule * granularity < offset + length; granule++)
        dirty.add(granule);
    }
  };
  for (const name of ["daily", "weekly"].slice(0, 1 + random(2))) {
    const granularity = 2 ** (9 + random(8));
    bitmaps.set(name, { granularity, dirty: new Set() });
    const offset = random(size);
    const length = 1 + random(Math.min(20_000, size - offset));
    qdb("bitmap", "--add", "--disk", disk, "-g", `${granularity}`, "--mark", `${offset}+${length}`, file, name);
    touch(offset, length, name);
  }
  qdb("bitmap", "--add", "--disk", disk, "--disable", file, "off");
  const ids = infoOf().map(({ name, id }) => [name, id]);
  exportShell();
  expect(digest(disk)).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect(infoOf().map(({ name, flags }) => [name, flags.includes("in_use")])).toEqual(
    infoOf().map(({ name }) => [name, bitmaps.has(name)]),
  );
  const daemon = await startDaemon();
  for (let count = random(8); count > 0; count--) {
    const offset = random(Math.floor(size / 512)) * 512;
    const length = Math.min(512 * (1 + random(40)), Math.floor(size / 512) * 512 - offset);
    const pattern = random(256);
    write(offset, length, pattern);
    bytes.fill(pattern, offset, offset + length);
    touch(offset, length);
  }
  await daemon.stop();
  collect();
  expect(readFileSync(disk).subarray(0, size).equals(bytes)).toBe(true);
  expect(infoOf().map(({ name, id }) => [name, id])).toEqual(ids);
  expect(infoOf().filter(({ flags, session }) => flags.includes("in_use") || session !== undefined)).toEqual([]);
  for (const [name, { granularity, dirty }] of bitmaps)
    expect(dirtyGranules(name, granularity), `${name}, ${granularity}, ${size}`).toEqual(
      [...dirty].sort((a, b) => a - b),
    );
  expect(existsSync(shell)).toBe(false);
});

describe("refused, and the bitmaps stay in use", () => {
  const stays = (code: string): void => {
    const before = readFileSync(file);
    qdbFails(code, ["import", shell, file]);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(existsSync(shell)).toBe(true);
    expect(infoOf().every(({ flags }) => flags.includes("in_use"))).toBe(true);
  };

  beforeEach(() => {
    makeDisk(2 ** 20, seededRandom(1));
    qdb("create", file);
    qdb("bitmap", "--add", "--disk", disk, file, "daily");
    exportShell();
  });

  test("a shell that a killed QEMU left", async () => {
    const daemon = await startDaemon();
    write(0, 4096, 7);
    daemon.process.kill("SIGKILL");
    await new Promise((ended) => daemon.process.once("exit", ended));
    stays("INCONSISTENT");
    qdb("bitmap", "--mark-all", file, "daily");
    expect(infoOf()[0]?.flags).toEqual(["enabled"]);
    // The stamp is still that of the disk before QEMU wrote to it.
    expect(dirtyGranules("daily", 65536, "--ignore-disk-change")).toHaveLength(16);
  });

  test("a disk that was written to after the stop", async () => {
    const daemon = await startDaemon();
    await daemon.stop();
    const now = Date.now() / 1000 + 10;
    utimesSync(disk, now, now);
    stays("INCONSISTENT");
  });

  test("while QEMU runs", async () => {
    const daemon = await startDaemon();
    stays("LOCKED");
    await daemon.stop();
    collect();
  });

  test("a copy of the shell, an older shell, and that of another file", () => {
    copyFileSync(shell, at("copy"));
    renameSync(shell, at("older"));
    renameSync(at("copy"), shell);
    stays("INCONSISTENT");
    qdb("bitmap", "--mark-all", file, "daily");
    rmSync(shell);
    exportShell();
    qdbFails("INCONSISTENT", ["import", at("older"), file]);
    const other = at("other.qdb");
    qdb("create", other);
    qdb("bitmap", "--add", "--disk", disk, other, "daily");
    qdbFails("INCONSISTENT", ["import", shell, other]);
    expect(infoOf()[0]?.flags).toContain("in_use");
    collect();
  });

  test("a bitmap that was removed from the shell, and one that was disabled there", () => {
    runPeer("qemu-img", ["bitmap", "--disable", shell, "daily"]);
    stays("INCONSISTENT");
    runPeer("qemu-img", ["bitmap", "--remove", shell, "daily"]);
    stays("NOT_FOUND");
  });
});

test("bits that cannot be trusted make no shell", () => {
  makeDisk(2 ** 20, seededRandom(2));
  qdb("create", file);
  qdb("bitmap", "--add", "--disk", disk, file, "daily");
  writeFileSync(disk, Buffer.alloc(2 ** 20, 5));
  const before = readFileSync(file);
  const args = ["export", "--to", "qcow2-shell", "--data-file", disk, file, shell];
  qdbFails("WRONG_DISK", args);
  expect(readFileSync(file).equals(before)).toBe(true);
  expect(readdirSync(directory).sort()).toEqual(["disk.raw", "vm.qdb"]);
  qdb("bitmap", "--disable", file, "daily");
  qdbFails("NOT_FOUND", args);
});

test("the export opens the disk for reading only", () => {
  makeDisk(2 ** 20, seededRandom(3));
  qdb("create", file);
  qdb("bitmap", "--add", "--disk", disk, file, "daily");
  const trace = at("trace");
  const command = new URL("../dist/qdb.cjs", import.meta.url).pathname;
  const node = process.env.QDB_NODE ?? process.execPath;
  execFileSync(
    "strace",
    [
      "-f",
      "-o",
      trace,
      "-e",
      "trace=open,openat,openat2,truncate,unlink,rename",
      node,
      command,
      "export",
      "--to",
      "qcow2-shell",
      "--data-file",
      disk,
      file,
      shell,
    ],
    { stdio: "ignore" },
  );
  const lines = readFileSync(trace, "utf8")
    .split("\n")
    .filter((line) => line.includes(disk));
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(line).toMatch(/O_RDONLY/);
});
