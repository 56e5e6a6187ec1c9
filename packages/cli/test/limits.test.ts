// How long the command may take and how much memory, on a 32 MiB bitmap (16 TiB at 64 KiB), with the Node of its users.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { file } from "../../format/test/hand.ts";
import { COMMAND, temporaryDirectory } from "./built.ts";
import { requirePeers, seededRandom } from "./peers.ts";

const directory = temporaryDirectory();
const CLUSTER = 4096;
const BYTES = 32 * 1024 * 1024;

/** A file whose bitmap has every bit dirty with the same chance, each for itself. */
function randomFile(name: string, share: number, seed: number): string {
  const random = seededRandom(seed);
  const data = new Uint8Array(BYTES);
  // The distance to the next dirty bit, drawn at once: a number for each bit would take too long.
  const step = Math.log(1 - share);
  const next = (): number => 1 + Math.floor(Math.log((1 + random(2 ** 31)) / 2 ** 31) / step);
  for (let bit = next() - 1; bit < BYTES * 8; bit += next()) data[bit >> 3] = (data[bit >> 3] ?? 0) | (1 << (bit & 7));
  const clusters = Array.from({ length: BYTES / CLUSTER }, (_, index) =>
    data.subarray(index * CLUSTER, (index + 1) * CLUSTER),
  );
  const path = join(directory, name);
  writeFileSync(
    path,
    file({ clusterBits: 12, bitmaps: [{ name: "b", size: 16n << 40n, granularity: 65_536, clusters }] }),
  );
  return path;
}

const files: Record<string, string> = {};
beforeAll(() => {
  requirePeers("python3");
  files.one = randomFile("one.qdb", 0.01, 1);
  files.ten = randomFile("ten.qdb", 0.1, 2);
}, 120_000);

interface Usage {
  readonly status: number;
  /** From start to end. */
  readonly wall: number;
  /** Of the processors, on all threads. */
  readonly cpu: number;
  readonly mebibytes: number;
}

/** Runs `qdb` with its output thrown away; time and memory are those of the whole process, as wait4(2) tells them. */
function measure(args: readonly string[]): Usage {
  const script = `import json, os, sys, time
null = os.open(os.devnull, os.O_WRONLY)
start = time.monotonic()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps({"status": os.waitstatus_to_exitcode(status), "wall": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime, "mebibytes": usage.ru_maxrss / 1024}))`;
  // That variable alone costs Node 20 30 ms.
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined };
  const node = process.env.QDB_NODE ?? process.execPath;
  const { stdout, stderr } = spawnSync("python3", ["-c", script, node, COMMAND, ...args], { encoding: "utf8", env });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

test.each([
  ["info", "--output=human", "ten"],
  ["info", "--output=json", "ten"],
  ["check", "--output=human", "ten"],
  ["map", "--output=json", "one"],
] as const)("%s %s, %s percent dirty at random: below 1 s and 300 MiB", (command, output, name) => {
  const operands = command === "map" ? [files[name] ?? "", "b"] : [files[name] ?? ""];
  let seconds = Number.POSITIVE_INFINITY;
  let mebibytes = 0;
  // The best of some runs; and where the machine is busy, waiting for a processor is not the command's time.
  for (let run = 0; run < 10 && !(run >= 3 && seconds < 1); run++) {
    const usage = measure([command, output, ...operands]);
    expect(usage.status).toBe(0);
    seconds = Math.min(seconds, usage.wall, usage.cpu);
    mebibytes = Math.max(mebibytes, usage.mebibytes);
  }
  console.log(`${command} ${output}, ${name} percent: ${seconds.toFixed(2)} s, ${mebibytes.toFixed(0)} MiB`);
  expect(seconds).toBeLessThan(1);
  expect(mebibytes).toBeLessThan(300);
});
