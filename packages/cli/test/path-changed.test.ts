// The file is moved, removed or replaced while the command changes it: that must not end with exit code 0.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lockState } from "@qdb/io-node";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { COMMAND, NODE, qdb, runQdb, temporaryDirectory } from "./built.ts";
import { requirePeers } from "./peers.ts";

const directory = temporaryDirectory();
const full = join(directory, "full.qdb");
const draft = join(directory, "draft.qdb");

beforeAll(() => {
  requirePeers("strace");
  qdb("create", full);
  qdb("bitmap", "--add", "--size", "1G", full, "a");
  const form = runQdb(["dump", full]).stdout;
  expect(runQdb(["load", "--draft", "-", draft], { input: form })).toMatchObject({ status: 0, stderr: "" });
});

/** A command line, the fsync at which it is held for two seconds, and what shows that it has come there. */
interface Case {
  readonly from: string | undefined;
  readonly args: (file: string) => readonly string[];
  readonly fsync: number;
  readonly isThere: (file: string) => boolean;
}

const mirror = (path: string): Buffer => readFileSync(path).subarray(4096, 8192);
const inCommit = (file: string): boolean => !mirror(file).equals(mirror(full));
const isMade = (file: string): boolean => statSync(file, { throwIfNoEntry: false }) !== undefined;

const CASES: Readonly<Record<string, Case>> = {
  // Two are the fence's.
  "bitmap --mark": { from: full, args: (file) => ["bitmap", "--mark-all", file, "a"], fsync: 3, isThere: inCommit },
  "bitmap --mark of a draft": {
    from: draft,
    args: (file) => ["bitmap", "--mark-all", file, "a"],
    fsync: 2,
    isThere: (file) => readFileSync(file).length !== readFileSync(draft).length,
  },
  "bitmap with nothing to change": {
    from: full,
    args: (file) => ["bitmap", "--clear", file, "a"],
    fsync: 1,
    isThere: (file) => lockState(file)?.held === true,
  },
  "check -r with nothing to repair": {
    from: full,
    args: (file) => ["check", "-r", file],
    fsync: 1,
    isThere: (file) => lockState(file)?.held === true,
  },
  // The directory's.
  create: { from: undefined, args: (file) => ["create", file], fsync: 2, isThere: isMade },
  export: {
    from: undefined,
    args: (file) => ["export", "--to", "raw-bits", "-B", "a", full, file],
    fsync: 2,
    isThere: isMade,
  },
};

const WAYS: Readonly<Record<string, (path: string) => void>> = {
  mv: (path) => {
    writeFileSync(`${path}.new`, "another");
    renameSync(`${path}.new`, path);
  },
  rm: (path) => rmSync(path),
};

test.each(Object.keys(CASES).flatMap((name) => Object.keys(WAYS).map((way) => [name, way] as const)))(
  "qdb %s, and %s meanwhile",
  { timeout: 60_000 },
  async (name, way) => {
    const { from, args, fsync, isThere } = CASES[name] as Case;
    const file = join(mkdtempSync(join(directory, "run-")), "file.qdb");
    if (from !== undefined) copyFileSync(from, file);
    const hold = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e"];
    const child = spawn(
      "strace",
      [...hold, `inject=fsync:delay_enter=2s:when=${fsync}`, NODE, COMMAND, ...args(file)],
      {
        env: { ...process.env, NODE_OPTIONS: undefined },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    onTestFinished(() => void child.kill("SIGKILL"));
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (said += data.toString()));
    const ended = once(child, "close");
    while (child.exitCode === null && !isThere(file)) await sleep(5);
    await sleep(300);
    expect(child.exitCode).toBe(null);
    WAYS[way]?.(file);
    await ended;
    expect({ status: child.exitCode, said }).toEqual({
      status: 1,
      said: expect.stringMatching(/^qdb: \[PATH_CHANGED\] "[^\n]*file\.qdb" [^\n]*\bno longer names\b[^\n]*\n$/),
    });
    if (way === "mv") expect(readFileSync(file, "utf8")).toBe("another");
  },
);
