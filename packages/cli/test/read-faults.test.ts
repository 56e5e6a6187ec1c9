// Disks that die while a command reads: an error of reading is IO with the system's words, whichever read it is, and never
// something about the bytes that could not be read.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMAND, NODE, qdb, temporaryDirectory } from "./built.ts";
import { requirePeers, runPeer } from "./peers.ts";

const directory = temporaryDirectory();
const templates = join(directory, "templates");
const work = join(directory, "work");
const MIB = 2 ** 20;

beforeAll(() => {
  requirePeers("strace", "qemu-img");
  mkdirSync(templates);
  const at = (name: string): string => join(templates, name);
  const qcow2 = at("disk.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", qcow2, "1M"]);
  runPeer("qemu-img", ["bitmap", "--add", "-g", "64K", qcow2, "b0"]);
  runPeer("qemu-io", ["-f", "qcow2", "-c", "write -q 256K 100K", qcow2]);
  const disk = Buffer.alloc(MIB);
  writeFileSync(at("old.raw"), disk);
  disk.fill("changed", 700_000, 700_100);
  writeFileSync(at("new.raw"), disk);
  const file = at("file.qdb");
  qdb("create", file);
  qdb("bitmap", "--add", "--size=1M", "-g4K", "--mark=64K+128K", file, "daily");
  qdb("bitmap", "--add", "--size=1M", "--mark=0+1", file, "other");
  writeFileSync(at("file.json"), qdb("dump", file));
  qdb("export", "--to=raw-bits", "-Bdaily", file, at("bits"));
  qdb("export", "--to=extents", "-Bdaily", file, at("extents"));
  // Only the mirror speaks for it, so that all places of mirrors are looked at.
  const damaged = readFileSync(file);
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  writeFileSync(at("damaged.qdb"), damaged);
});

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Reads of the file, in order. */
  readonly reads: readonly string[];
}

/** Runs the command in a folder of fresh copies, with faults in reads of one of them. */
function run(victim: string, args: readonly string[], fault?: string): Ended {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  for (const name of readdirSync(templates)) copyFileSync(join(templates, name), join(work, name));
  const log = join(directory, "strace.log");
  const options = ["-f", "-qq", "-o", log, "-P", join(work, victim), "-e", "trace=read,pread64"];
  const inject = fault === undefined ? [] : ["-e", `inject=read,pread64:error=EIO:when=${fault}`];
  const env = { ...process.env, NODE_OPTIONS: undefined, UV_THREADPOOL_SIZE: "1" };
  const { status, stdout, stderr, error } = spawnSync("strace", [...options, ...inject, NODE, COMMAND, ...args], {
    encoding: "utf8",
    env,
    cwd: work,
  });
  if (error !== undefined) throw error;
  const reads = readFileSync(log, "utf8").match(/^\d+ +p?read(64)?\(.*/gm) ?? [];
  return { status, stdout, stderr, reads };
}

/** What was printed, without the age of bitmaps. */
const ageless = ({ stdout }: Ended): string => stdout.replaceAll(/^ +created: .*$/gm, "");

/** A command line, and whose disk dies. */
const CASES: readonly (readonly [victim: string, ...args: string[]])[] = [
  ...["file.qdb", "damaged.qdb"].flatMap((file): [string, ...string[]][] => [
    [file, "info", file],
    [file, "map", file, "daily"],
    [file, "check", file],
    [file, "dump", file],
    [file, "show", file],
    [file, "show", file, "daily"],
    [file, "check", "-r", file],
    [file, "bitmap", "--mark=0+1M", file, "daily"],
  ]),
  ["file.qdb", "copy", "file.qdb", "daily", "new.raw", "old.raw"],
  ["file.qdb", "export", "--to=extents", "-Bdaily", "file.qdb", "out"],
  ["file.qdb", "bitmap", "--merge=daily", "-b", "file.qdb", "damaged.qdb", "other"],
  ["file.qdb", "import", "disk.qcow2", "file.qdb"],
  ["file.qdb", "diff", "old.raw", "new.raw", "file.qdb"],
  ["new.raw", "copy", "file.qdb", "daily", "new.raw", "old.raw"],
  ["old.raw", "diff", "old.raw", "new.raw", "made.qdb"],
  ["new.raw", "diff", "old.raw", "new.raw", "made.qdb"],
  ["disk.qcow2", "import", "disk.qcow2", "made.qdb"],
  ["disk.qcow2", "info", "disk.qcow2"],
  ["disk.qcow2", "map", "disk.qcow2", "b0"],
  ["disk.qcow2", "dump", "disk.qcow2"],
  ["disk.qcow2", "check", "disk.qcow2"],
  ["disk.qcow2", "show", "disk.qcow2"],
  ["disk.qcow2", "show", "disk.qcow2", "b0"],
  ["disk.qcow2", "export", "--to=raw-bits", "-Bb0", "disk.qcow2", "out"],
  ["disk.qcow2", "bitmap", "--merge=b0", "-b", "disk.qcow2", "file.qdb", "daily"],
  ["bits", "import", "--from=raw-bits", "-g4K", "--size=1M", "-Bnew", "bits", "made.qdb"],
  ["extents", "import", "-Bnew", "extents", "made.qdb"],
  ["file.json", "load", "file.json", "made.qdb"],
];

/** Whether every read is tried (`pnpm soak faults`), or some of them. */
const isSoak = process.env.QDB_SOAK === "1";
let injections = 0;
afterAll(() => {
  if (isSoak) process.stdout.write(`${injections} runs with reads that failed\n`);
});

describe.each(CASES.map((each) => [each.join(" "), each] as const))("%s", (_, [victim, ...args]) => {
  test("whichever read fails", { timeout: 300_000 }, () => {
    const [command = ""] = args;
    const whole = run(victim, args);
    expect(whole.status).toBe(command === "check" && victim === "damaged.qdb" && args.length === 2 ? 2 : 0);
    const inputs = readdirSync(templates);
    const isTarget = victim.endsWith(".qdb") && ["bitmap", "import", "diff", "check"].includes(command);
    // Reads are counted in each thread, of which a command uses one or two.
    for (let n = 1; ; n += isSoak || n < 2 ? 1 : 3) {
      const dead = run(victim, args, `${n}+`);
      if (!dead.reads.some((read) => read.includes("EIO"))) {
        expect(n).toBeGreaterThan(1);
        break;
      }
      injections++;
      if (command === "check" && dead.status === 2) {
        // Behind the commit of a repair, what cannot be read is a finding.
        expect(args[1]).toBe("-r");
        expect(dead.stdout).toMatch(/^corrupt: \[IO\] .*EIO: i\/o error/m);
        continue;
      }
      expect(dead, `read ${n} and all that follow`).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(
          /^(qdb: warning: [^\n]* mirror [^\n]*\n)?qdb: \[(IO|POISONED)\] [^\n]*EIO: i\/o error[^\n]*\n$/,
        ),
      });
      // In a commit the handle ends with it (spec §5, Failure).
      if (!isTarget) expect(dead.stderr).toMatch(/^qdb: \[IO\]/m);
      // Only dump and check put out what they have found by then.
      if (command !== "dump" && command !== "check") expect(dead.stdout).toBe("");
      expect(readdirSync(work)).toEqual(inputs);
      if (!isSoak && n % 2 === 0) continue;
      // There can be a way round one read that fails; what is said of the file then is true.
      const once = run(victim, args, `${n}`);
      injections++;
      expect(`${once.stdout}${once.stderr}`).not.toMatch(/BAD_MAGIC|SOURCE_CHANGED|TRUNCATED|UNSUPPORTED/);
      if (once.status === whole.status && ageless(once) === ageless(whole)) continue;
      expect(`${once.stdout}${once.stderr}`).toContain("EIO: i/o error");
    }
  });
});
