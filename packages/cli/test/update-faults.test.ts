// The command killed, or a call of it failing, at every write, flush, cut and rename: the old state is there or the new one,
// and nobody is told otherwise.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { COMMAND, NODE, qdb, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers, runPeer, seededRandom } from "./peers.ts";
import { findingsOf, stateOf } from "./reading.ts";

const directory = temporaryDirectory();
const MIB = 2 ** 20;
/** At 512 bytes a bit, five clusters of 4096 bytes. */
const SIZE = 80 * MIB;

/** Dirty ranges all over the disk, or over its first part. */
function scattered(seed: number, end = SIZE): [string, string][] {
  const random = seededRandom(seed);
  const ranges: [string, string][] = [];
  for (let at = 512 * random(100); at < end - MIB; at += 512 * (101 + random(2000)))
    ranges.push([`${at}`, `${512 * (1 + random(100))}`]);
  return ranges;
}

function bitmap(name: string, dirty: [string, string][], flags: string[] = [], extra_data: object[] = []): object {
  return { name, size: `${SIZE}`, granularity: 512, flags, extra_data, dirty };
}

function load(path: string, ...options: readonly string[]): void {
  const form = {
    format: "qdb",
    header: { form: "full", version: 1, cluster_bits: 12, incompatible_features: "0x0000000000000001" },
    bitmaps: [
      bitmap("daily", scattered(1), ["enabled"], [{ type: "0x00000006", comment: "mine" }]),
      bitmap("other", scattered(2, SIZE / 2)),
      bitmap("frozen", scattered(3), ["frozen"], [{ type: "0x00000008", successor: "next" }]),
      bitmap("next", scattered(4, SIZE / 4), ["enabled"]),
      bitmap("bystander", scattered(5)),
    ],
  };
  const { status, stderr } = runQdb(["load", ...options, "-", path], { input: JSON.stringify(form) });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
}

const template = join(directory, "template.qdb");
const draft = join(directory, "draft.qdb");
const damaged = join(directory, "damaged.qdb");
const [bits, base, current] = ["bits", "base.raw", "current.raw"].map((name) => join(directory, name)) as [
  string,
  string,
  string,
];

beforeAll(() => {
  requirePeers("strace");
  load(template);
  load(draft, "--draft");
  // A data cluster whose bits changed, and space behind the end.
  load(damaged);
  const bytes = readFileSync(damaged);
  const last = bytes.length - 4096;
  bytes[last + 5] = (bytes[last + 5] ?? 0) ^ 1;
  writeFileSync(damaged, bytes);
  truncateSync(damaged, bytes.length + 10_000);
  writeFileSync(bits, Buffer.alloc(SIZE / 512 / 8, "\x01\x80\x00"));
  const disk = Buffer.alloc(MIB);
  writeFileSync(base, disk);
  disk.fill("changed", 700_000, 700_100);
  writeFileSync(current, disk);
});

/** A command line on FILE, the file that it starts from, and system calls that it changes files with. */
interface Case {
  readonly from: string;
  readonly args: (file: string) => readonly string[];
  readonly calls: readonly string[];
}

const IN_PLACE = ["pwrite64", "fsync", "ftruncate"];

const CASES: Readonly<Record<string, Case>> = {
  "bitmap --merge": { from: template, args: (file) => ["bitmap", "--merge", "other", file, "daily"], calls: IN_PLACE },
  "bitmap --add": { from: template, args: (file) => ["bitmap", "--add", "--size", "1G", file, "new"], calls: IN_PLACE },
  "bitmap --remove": { from: template, args: (file) => ["bitmap", "--remove", file, "daily"], calls: IN_PLACE },
  "bitmap --clear": { from: template, args: (file) => ["bitmap", "--clear", file, "bystander"], calls: IN_PLACE },
  "bitmap --freeze": { from: template, args: (file) => ["bitmap", "--freeze", "new", file, "daily"], calls: IN_PLACE },
  "bitmap --release": {
    from: template,
    args: (file) => ["bitmap", "--release=failed", file, "frozen"],
    calls: IN_PLACE,
  },
  "import --merge": {
    from: template,
    args: (file) => ["import", "--merge", "--from=raw-bits", "-g512", `--size=${SIZE}`, "-B", "daily", bits, file],
    calls: IN_PLACE,
  },
  diff: { from: template, args: (file) => ["diff", base, current, file], calls: IN_PLACE },
  "check -r": { from: damaged, args: (file) => ["check", "-r", file], calls: IN_PLACE },
  "bitmap --mark of a draft": {
    from: draft,
    args: (file) => ["bitmap", "--mark", "0+1M", file, "daily"],
    calls: [...IN_PLACE, "rename", "fchmod", "fchown"],
  },
};

interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stderr: string;
  /** The calls that were made, in order; failed ones with what they failed with. */
  readonly log: readonly string[];
}

/** Runs the command under strace, with a fault if one is given. */
function run({ from, args, calls }: Case, fault?: string): { readonly file: string; readonly ended: Ended } {
  const folder = join(directory, "run");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const file = join(folder, "file.qdb");
  copyFileSync(from, file);
  const log = join(directory, "strace.log");
  const options = [
    "-f",
    "-qq",
    "-o",
    log,
    "-e",
    `trace=${calls.join(",")}`,
    ...(fault === undefined ? [] : ["-e", `inject=${fault}`]),
  ];
  const env = { ...process.env, NODE_OPTIONS: undefined };
  const { status, signal, stderr, error } = spawnSync("strace", [...options, NODE, COMMAND, ...args(file)], {
    encoding: "utf8",
    env,
  });
  if (error !== undefined) throw error;
  const lines = readFileSync(log, "utf8").split("\n");
  return {
    file,
    ended: { status, signal, stderr, log: lines.flatMap((line) => /^\d+ +(\w+\(.*)/.exec(line)?.[1] ?? []) },
  };
}

describe.each(Object.keys(CASES))("qdb %s", (name) => {
  const each = CASES[name];
  if (each === undefined) throw new Error("no such case");

  test("killed or failing anywhere, one state is there", { timeout: 300_000 }, async () => {
    const before = await stateOf(each.from);
    const whole = run(each);
    expect(whole.ended).toMatchObject({ status: 0, stderr: "" });
    const after = await stateOf(whole.file);
    if (name !== "check -r") expect(await findingsOf(whole.file)).toEqual([]);
    expect(after).not.toEqual(before);
    /** Which one a file has: exactly that, and nothing that is worse than it was. */
    const which = async (file: string): Promise<"old" | "new"> => {
      const state = await stateOf(file);
      const isOld = JSON.stringify(state) === JSON.stringify(before);
      if (!isOld) expect(state).toEqual(after);
      const known = isOld && name === "check -r" ? ["BAD_CHECKSUM"] : [];
      for (const code of await findingsOf(file)) expect(["LEAK", "MIRROR", "UNPROTECTED", ...known]).toContain(code);
      return isOld ? "old" : "new";
    };
    const seen = new Set<string>();
    for (const call of each.calls) {
      const count = whole.ended.log.filter((line) => line.startsWith(`${call}(`)).length;
      for (let when = 1; when <= count; when++) {
        const killed = run(each, `${call}:signal=KILL:when=${when}`);
        expect(killed.ended).toMatchObject({ signal: "SIGKILL" });
        seen.add(await which(killed.file));
        const errno = ["EIO", "ENOSPC"][when % 2] ?? "EIO";
        const failed = run(each, `${call}:error=${errno}:when=${when}`);
        expect(failed.ended.log.filter((line) => line.includes(`-1 ${errno}`))).toHaveLength(1);
        expect(failed.ended).toMatchObject({
          status: 1,
          stderr: expect.stringMatching(/^qdb: \[(POISONED|IO)\] [^\n]+\n$/),
        });
        expect(failed.ended.stderr).toContain(errno);
        const state = await which(failed.file);
        if (/nothing was changed|is in its old state|is as it was/.test(failed.ended.stderr)) expect(state).toBe("old");
        else if (/ is stored/.test(failed.ended.stderr)) expect(state).toBe("new");
        else expect(failed.ended.stderr).toMatch(/is unknown/);
        // What failed leaves nothing behind; what was killed cannot.
        expect(readdirSync(join(directory, "run"))).toEqual(["file.qdb"]);
      }
    }
    expect([...seen].sort()).toEqual(["new", "old"]);
  });
});

/** A file system in memory of a few bytes, for one test. */
function tinyFileSystem(bytes: number): string {
  const folder = join(directory, "tiny");
  runPeer("mkdir", [folder]);
  runPeer("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "qdb-test", folder]);
  onTestFinished(() => void runPeer("umount", [folder]));
  return folder;
}

test("on a full file system every command says so and leaves the file as it says", async () => {
  const folder = tinyFileSystem(256 * 1024);
  const file = join(folder, "file.qdb");
  const filler = join(folder, "filler");
  for (const { from, args } of Object.values(CASES)) {
    copyFileSync(from, file);
    fill(filler);
    const before = await stateOf(file);
    const { status, stderr } = runQdb(args(file));
    expect(stderr).toMatch(/^qdb: \[(POISONED|IO)\] [^\n]*ENOSPC[^\n]*(in its old state|is as it was)[^\n]*\n$/);
    expect(status).toBe(1);
    expect(await stateOf(file)).toEqual(before);
    writeFileSync(filler, "");
    qdb(...args(file));
    expect(await stateOf(file)).not.toEqual(before);
    runPeer("rm", [file, filler]);
  }
});

/** Fills the file system of a path to the last byte. */
function fill(path: string): void {
  const block = new Uint8Array(4096);
  for (;;) {
    try {
      writeFileSync(path, block, { flag: "a" });
    } catch {
      return;
    }
  }
}
