// What a run of the command takes, beside what a fixed piece of work takes on the same machine at the same time: a second on
// an idle machine is two on one that gives its processors to others as well.
import { spawnSync } from "node:child_process";
import { expect } from "vitest";
import { COMMAND, NODE } from "./built.ts";

/** What a process took, as wait4(2) tells it. */
export interface Usage {
  readonly status: number;
  /** Seconds from start to end. */
  readonly wall: number;
  readonly mebibytes: number;
}

const SCRIPT = `import json, os, sys, time
null = os.open(os.devnull, os.O_WRONLY)
start = time.monotonic()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps({"status": os.waitstatus_to_exitcode(status), "wall": time.monotonic() - start, "mebibytes": usage.ru_maxrss / 1024}))`;

/** Runs Node with its output thrown away; it may say nothing on standard error. */
export function measured(args: readonly string[]): Usage {
  const { stdout, stderr } = spawnSync("python3", ["-c", SCRIPT, NODE, ...args], { encoding: "utf8" });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** Work that never changes: a start of Node, and 2^25 steps over 32 MiB. */
const WORK = `const words = new Uint32Array(1 << 23);
let x = 1;
for (let pass = 0; pass < 4; pass++)
  for (let at = 0; at < words.length; at++) {
    x = (Math.imul(x, 0x9e3779b1) + at) >>> 0;
    words[at] ^= x;
    if (words[at] & 1) x ^= at;
  }`;
/** Seconds that this work takes where the limits of the command were set: two idle cores. */
const WORK_SECONDS = 0.45;

/** The best of some runs of the command, in seconds of an idle machine, and the most memory of any. */
export function bestOf(runs: number, args: readonly string[], prepare: () => void = () => undefined): Usage {
  let wall = Number.POSITIVE_INFINITY;
  let work = Number.POSITIVE_INFINITY;
  let mebibytes = 0;
  for (let run = 0; run < runs; run++) {
    work = Math.min(work, measured(["-e", WORK]).wall);
    prepare();
    const usage = measured([COMMAND, ...args]);
    expect({ args, status: usage.status }).toEqual({ args, status: 0 });
    wall = Math.min(wall, usage.wall);
    mebibytes = Math.max(mebibytes, usage.mebibytes);
  }
  const idle = wall / Math.max(1, work / WORK_SECONDS);
  console.log(
    `qdb ${args.slice(0, 2).join(" ")}: ${wall.toFixed(2)} s beside ${work.toFixed(2)} s of fixed work, ${mebibytes.toFixed(0)} MiB`,
  );
  return { status: 0, wall: idle, mebibytes };
}
