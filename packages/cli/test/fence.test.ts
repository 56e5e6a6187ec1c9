// What a command that finds nothing to change calls done is on the disk: the fence comes first (spec §5, step 2).
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { file, type HandBitmap } from "../../format/test/hand.ts";
import { COMMAND, NODE, qdb, temporaryDirectory } from "./built.ts";
import { requirePeers } from "./peers.ts";

const directory = temporaryDirectory();
const template = join(directory, "template.qdb");
const draft = join(directory, "draft.qdb");
const inUse = join(directory, "in-use.qdb");
const bits = join(directory, "bits");

const BITMAP: HandBitmap = { name: "daily", size: 65536n * 100n, granularity: 65536, clusters: ["zeros"] };

beforeAll(() => {
  requirePeers("strace");
  qdb("create", template);
  qdb("bitmap", "--add", "--size=6400K", "--mark=64K+128K", template, "daily");
  qdb("bitmap", "--add", "--size=6400K", template, "other");
  writeFileSync(draft, file({ draft: true, bitmaps: [BITMAP] }));
  writeFileSync(inUse, file({ bitmaps: [{ ...BITMAP, flags: 3 }] }));
  qdb("export", "--to=raw-bits", "-B", "daily", template, bits);
});

/** The command under strace: what it did to the file before it ended, in order. */
function traced(path: string, args: readonly string[], ...inject: readonly string[]) {
  const log = join(directory, "strace.log");
  const faults = inject.flatMap((fault) => ["-e", `inject=${fault}`]);
  const options = ["-f", "-qq", "-o", log, "-P", path, "-e", "trace=pwrite64,fsync,ftruncate", ...faults];
  const env = { ...process.env, NODE_OPTIONS: undefined };
  const { status, stdout, stderr, error } = spawnSync("strace", [...options, NODE, COMMAND, ...args], {
    encoding: "utf8",
    env,
  });
  if (error !== undefined) throw error;
  const calls = readFileSync(log, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, name, place] = /^\d+ +(\w+)\(.*?(?:, (\d+, \d+))?\) += /.exec(line) ?? [];
      return name === undefined ? [] : [place === undefined ? name : `${name} ${place}`];
    });
  return { status, stdout, stderr, calls };
}

const FENCE = ["fsync", "pwrite64 4096, 0", "fsync"];

interface Case {
  readonly from: () => string;
  readonly args: (path: string) => readonly string[];
  readonly calls?: readonly string[];
  readonly status?: number;
}

const CASES: Readonly<Record<string, Case>> = {
  "check -r of a good file": { from: () => template, args: (path) => ["check", "-r", path] },
  // A draft has no mirror: what the fence has to write is not there.
  "check -r of a draft": { from: () => draft, args: (path) => ["check", "-r", path], calls: ["fsync"] },
  "check -r of what cannot be repaired": { from: () => inUse, args: (path) => ["check", "-r", path], status: 2 },
  "bitmap --enable": { from: () => template, args: (path) => ["bitmap", "--enable", path, "daily"] },
  "bitmap --mark": { from: () => template, args: (path) => ["bitmap", "--mark=64K+64K", path, "daily"] },
  "bitmap --merge": { from: () => template, args: (path) => ["bitmap", "--merge=other", path, "daily"] },
  "bitmap --rename": { from: () => template, args: (path) => ["bitmap", "--rename=daily", path, "daily"] },
  "import --merge": {
    from: () => template,
    args: (path) => ["import", "--merge", "--from=raw-bits", "-g64K", "--size=6400K", "-Bdaily", bits, path],
  },
};

test.each(Object.keys(CASES))("%s does the fence, and fails where that fails", (name) => {
  const { from, args, calls = FENCE, status = 0 } = CASES[name]!;
  const path = join(directory, "file.qdb");
  copyFileSync(from(), path);
  const bytes = readFileSync(path);
  expect(traced(path, args(path))).toMatchObject({ status, stderr: "", calls });
  expect(readFileSync(path).equals(bytes)).toBe(true);
  for (const [at, call] of calls.entries()) {
    const [kind = ""] = call.split(" ");
    const when = calls.slice(0, at + 1).filter((other) => other.split(" ")[0] === kind).length;
    const failed = traced(path, args(path), `${kind}:error=EIO:when=${when}`);
    expect(failed).toMatchObject({ status: 1, stdout: "", stderr: expect.stringMatching(/^qdb: \[POISONED\] .*EIO/) });
    expect(failed.calls).toEqual(calls.slice(0, at + 1));
    expect(readFileSync(path).equals(bytes)).toBe(true);
  }
});
