// A clear that was killed between mirror and primary, and a byte of the primary that rots: every command says that it read through
// the mirror, and those that rely on what is clean refuse it (spec §2.4, §5 What remains).
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMAND, NODE, qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers } from "./peers.ts";
import { findingsOf } from "./reading.ts";

const directory = temporaryDirectory();
const at = (name: string): string => join(directory, name);
/** Killed while it cleared; the primary is good. */
const killed = at("killed.qdb");
/** The same with a rotten primary. */
const rotten = at("rotten.qdb");
const disk = at("disk.raw");
const MAP =
  "         0       65536    0  clean\n     65536      131072    1  dirty\n    196608      851968    0  clean\n";
const CLEAN = "         0     1048576    0  clean\n";

beforeAll(() => {
  requirePeers("strace");
  qdb("create", killed);
  qdb("bitmap", "--add", "--size=1M", "--mark=64K+128K", killed, "daily");
  qdb("bitmap", "--add", "--size=1M", killed, "other");
  const commit = ["-f", "-qq", "-o", at("strace.log"), "-P", killed, "-e", "trace=pwrite64"];
  const clear = [NODE, COMMAND, "bitmap", "--clear", killed, "daily"];
  const env = { ...process.env, NODE_OPTIONS: undefined };
  const copy = at("copy.qdb");
  copyFileSync(killed, copy);
  spawnSync("strace", [...commit, ...clear], { env });
  const writes = readFileSync(at("strace.log"), "utf8").match(/pwrite64\(/g)?.length;
  copyFileSync(copy, killed);
  // The last write is that of the primary.
  const { signal } = spawnSync("strace", [...commit, "-e", `inject=pwrite64:signal=KILL:when=${writes}`, ...clear], {
    env,
  });
  expect(signal).toBe("SIGKILL");
  const bytes = readFileSync(killed);
  bytes[200] = (bytes[200] ?? 0) ^ 1;
  writeFileSync(rotten, bytes);
  writeFileSync(disk, Buffer.alloc(2 ** 20, 1));
});

let files = 0;
function copyOf(path: string): string {
  const copy = at(`${files++}.qdb`);
  copyFileSync(path, copy);
  return copy;
}

const WARNING = /^qdb: warning: the header of "[^"]+" is damaged or cannot be read, and its mirror was used: [^\n]+\n$/;

/** Runs a command that goes on, with a warning; gives its output. */
function warned(...args: readonly string[]): string {
  const { status, stdout, stderr } = runQdb(args);
  expect({ args, stderr }).toEqual({ args, stderr: expect.stringMatching(WARNING) });
  expect({ args, status }).toEqual({ args, status: args[0] === "check" && args[1] !== "-r" ? 2 : 0 });
  return stdout.toString("utf8");
}

test("the old state before the byte rots, without a word; the new one after it, with a warning", () => {
  expect(qdb("map", killed, "daily")).toBe(MAP);
  expect(warned("map", rotten, "daily")).toBe(CLEAN);
});

describe("who looks goes on, and says so", () => {
  test.each([
    ["info"],
    ["dump"],
    ["show"],
    ["show", "daily"],
    ["map", "daily"],
    ["map", "--output=json", "daily"],
    ["check"],
  ])("%s", (command, ...more) => {
    const options = more.filter((word) => word.startsWith("--"));
    const names = more.filter((word) => !word.startsWith("--"));
    warned(command, ...options, rotten, ...names);
  });

  test("info and check in JSON", () => {
    const look = (...args: readonly string[]): { header_source: string } =>
      JSON.parse(runQdb(args).stdout.toString("utf8"));
    for (const command of ["info", "check"]) {
      expect(look(command, "--output=json", rotten).header_source).toBe("mirror");
      expect(look(command, "--output=json", killed).header_source).toBe("primary");
    }
    const both = copyOf(rotten);
    const bytes = readFileSync(both);
    bytes[4096 + 200] = (bytes[4096 + 200] ?? 0) ^ 1;
    writeFileSync(both, bytes);
    expect(look("check", "--output=json", both)).not.toHaveProperty("header_source");
  });
});

describe("who relies on what is clean refuses it, until it is told, or the file was repaired", () => {
  /** Command lines on a file, and other files that they work on. */
  const CASES: Readonly<
    Record<string, (file: string, target: string, ...insist: readonly string[]) => readonly string[]>
  > = {
    copy: (file, target, ...insist) => ["copy", ...insist, file, "daily", disk, target],
    "export --to=raw-bits": (file, _, ...insist) => ["export", "--to=raw-bits", "-Bdaily", ...insist, file],
    "export --to=extents": (file, _, ...insist) => ["export", "--to=extents", "-Bdaily", ...insist, file],
    "bitmap --merge": (file, _, ...insist) => ["bitmap", "--merge=daily", ...insist, file, "other"],
    "bitmap --intersect": (file, _, ...insist) => ["bitmap", "--intersect=daily", ...insist, file, "other"],
    "bitmap --subtract": (file, _, ...insist) => ["bitmap", "--subtract=daily", ...insist, file, "other"],
    "bitmap --xor": (file, _, ...insist) => ["bitmap", "--xor=daily", ...insist, file, "other"],
    "bitmap --merge of another file": (file, _, ...insist) => [
      "bitmap",
      "--merge=daily",
      "-b",
      file,
      ...insist,
      copyOf(killed),
      "other",
    ],
    "bitmap --release=failed": (file, _, ...insist) => [
      "bitmap",
      "--freeze=next",
      "--release=failed",
      ...insist,
      file,
      "daily",
    ],
  };

  test.each(Object.keys(CASES))("%s", (name) => {
    const args = CASES[name]!;
    const target = at("target.raw");
    const zeros = Buffer.alloc(2 ** 20);
    writeFileSync(target, zeros);
    const file = copyOf(rotten);
    const before = readFileSync(file);
    const { status, stdout, stderr } = runQdb(args(file, target));
    expect({ status, stdout: stdout.toString("utf8") }).toEqual({ status: 1, stdout: "" });
    const [warning = "", error = "", ...more] = stderr.split("\n");
    expect(`${warning}\n`).toMatch(WARNING);
    expect(error).toMatch(/^qdb: \[BAD_CHECKSUM\] .*qdb check -r, or insist with --ignore-header-damage/);
    expect(more).toEqual([""]);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readFileSync(target).equals(zeros)).toBe(true);
    warned(...args(file, target, "--ignore-header-damage"));
    const repaired = copyOf(rotten);
    warned("check", "-r", repaired);
    writeFileSync(target, zeros);
    qdb(...args(repaired, target));
    // Nothing of the kind where the primary is good.
    qdb(...args(copyOf(killed), target));
  });
});

describe("opening for writing goes on, and says so", () => {
  test.each<[what: string, ...args: string[]]>([
    ["a change", "bitmap", "--mark=0+1"],
    ["nothing to change", "bitmap", "--enable"],
  ])("%s", async (_, ...args) => {
    const file = copyOf(rotten);
    warned(...args, file, "daily");
    expect(await findingsOf(file)).toEqual([]);
    qdb("map", file, "daily");
    qdb("export", "--to=raw-bits", "-Bdaily", file);
  });

  test("import and diff", async () => {
    const bits = at("bits");
    writeFileSync(bits, Buffer.alloc(2, 0x81));
    for (const [file, ...args] of [
      [copyOf(rotten), "import", "--from=raw-bits", "-g64K", "--size=1M", "-Bnew", bits],
      [copyOf(rotten), "import", "--merge", "--from=raw-bits", "-g64K", "--size=1M", "-Bdaily", bits],
      [copyOf(rotten), "diff", disk, disk],
    ] as const) {
      warned(...args, file);
      expect(await findingsOf(file)).toEqual([]);
    }
  });

  test("a primary without its magic is refused but for a repair", () => {
    const file = copyOf(rotten);
    const bytes = readFileSync(file);
    bytes[0] = 0;
    writeFileSync(file, bytes);
    qdbFails("BAD_MAGIC", ["bitmap", "--mark=0+1", file, "daily"]);
    warned("check", "-r", file);
    qdb("bitmap", "--mark=0+1", file, "daily");
  });
});

test("check -r of the file that is not rotten yet ends the window: the mirror says the same then", async () => {
  const file = copyOf(killed);
  expect(await findingsOf(file)).toContain("MIRROR");
  expect(qdb("check", "-r", file)).toMatch(/^info: \[MIRROR\] .*; repaired$/m);
  expect(await findingsOf(file)).toEqual([]);
  const bytes = readFileSync(file);
  bytes[200] = (bytes[200] ?? 0) ^ 1;
  writeFileSync(file, bytes);
  expect(warned("map", file, "daily")).toBe(MAP);
});
