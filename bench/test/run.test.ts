// The whole program, also on a machine that lacks what it compares with.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { requirePeers, runPeer } from "../../packages/cli/test/peers.ts";
import { BENCH } from "../src/paths.ts";
import type { Results } from "../src/report/results.ts";
import { measuredNode } from "../src/setup/environment.ts";
import { bringPeers } from "../src/setup/peers.ts";

const folder = mkdtempSync(join(tmpdir(), "qdb-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs `pnpm bench`, or its command for charts, with this PATH. */
function benchWith(path: string | undefined, program: string, ...args: readonly string[]) {
  return spawnSync(process.execPath, [join(BENCH, "src", program), ...args], {
    env: { ...process.env, PATH: path, QDB_NODE: process.env.QDB_NODE ?? process.execPath },
    encoding: "utf8",
  });
}

/** The same with an empty PATH: without gcc and npm. */
function bench(program: string, ...args: readonly string[]) {
  return benchWith(folder, program, ...args);
}

/** The programs that each row with comparisons names, or why there is none. */
function peersOf(json: string): string[] {
  const { rows }: Results = JSON.parse(readFileSync(json, "utf8"));
  const peers = rows.flatMap(({ comparisons = [] }) => comparisons.flatMap((comparison) => comparison.peers));
  return peers.map((peer) => ("missing" in peer ? `${peer.label}: ${peer.missing}` : peer.label));
}

test("without gcc, limits and comparisons with C are lines that say so", () => {
  const json = join(folder, "without-gcc.json");
  const { status, stdout, stderr } = bench("main.ts", "--only", "limits", "--only", "crc32", "--quick", "--json", json);
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^Node\.js \d+\.\d+\.\d+ \(V8 /);
  expect(stdout).toMatch(/^ {2}memcpy, 2 MiB +gcc is not installed$/m);
  expect(stdout).toMatch(/^ {2}writing 4 KiB and fdatasync +gcc is not installed$/m);
  const results: Results = JSON.parse(readFileSync(json, "utf8"));
  expect(results.rows.map(({ id }) => id)).toEqual(["limits", "crc32"]);
  expect(results.rows[1]?.comparisons?.[0]?.peers[0]).toMatchObject({ label: "zlib", goal: 2.5 });
});

test("without gcc, rows of commands say so", () => {
  const json = join(folder, "commands.json");
  const { status, stdout, stderr } = bench(
    "main.ts",
    "--only",
    "damage",
    "--only",
    "memory",
    "--quick",
    "--json",
    json,
  );
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^Most memory.*\n {2}gcc is not installed$/m);
  const results: Results = JSON.parse(readFileSync(json, "utf8"));
  expect(results.rows.map(({ id, missing }) => [id, missing])).toEqual([
    ["damage", "gcc is not installed"],
    ["memory", "gcc is not installed"],
  ]);
});

test("commands are measured beside the programs that are installed", () => {
  requirePeers("gcc", "qemu-img", "cmp", "flock");
  const json = join(folder, "programs.json");
  const rows = ["damage", "import", "compare"].flatMap((id) => ["--only", id]);
  const { status, stderr } = benchWith(process.env.PATH, "main.ts", ...rows, "--quick", "--json", json);
  expect(status, stderr).toBe(0);
  expect(peersOf(json)).toEqual(["qemu-img info, cp, sync", "floor", "qemu-img compare", "cmp -s", "floor"]);
  const results: Results = JSON.parse(readFileSync(json, "utf8"));
  expect(results.rows.find(({ id }) => id === "damage")?.damage?.map(({ exit }) => exit)).toContain(2);
});

test("a program that is not installed is a line that says so", () => {
  requirePeers("gcc", "flock");
  const few = join(folder, "few");
  mkdirSync(few);
  for (const program of ["gcc", "as", "ld", "flock"]) symlinkSync(pathOf(program), join(few, program));
  const json = join(folder, "few.json");
  const { status, stderr } = benchWith(
    few,
    "main.ts",
    "--only",
    "import",
    "--only",
    "compare",
    "--quick",
    "--json",
    json,
  );
  expect(status, stderr).toBe(0);
  const results: Results = JSON.parse(readFileSync(json, "utf8"));
  expect(results.rows.find(({ id }) => id === "import")?.missing).toBe("qemu-img is not installed");
  expect(peersOf(json)).toEqual([
    "qemu-img compare: qemu-img is not installed",
    "cmp -s: cmp is not installed",
    "floor",
  ]);
});

/** Returns where a program is. */
function pathOf(program: string): string {
  return runPeer("sh", ["-c", 'command -v "$0"', program]).trim();
}

test("the charts of results are drawn again from the JSON alone", () => {
  const json = join(folder, "again.json");
  const { status, stderr } = bench("main.ts", "--only", "crc32", "--quick", "--json", json);
  expect(status, stderr).toBe(0);
  const chart = join(folder, "ratios.svg");
  const first = readFileSync(chart, "utf8");
  expect(first).toContain("2 MiB, 1 % random: CRC-32");
  rmSync(chart);
  const again = bench("chart.ts", json);
  expect(again.status, again.stderr).toBe(0);
  expect(readFileSync(chart, "utf8")).toBe(first);
});

test("a row that does not exist is refused, and the rows are named", () => {
  const { status, stderr } = bench("main.ts", "--only", "nonsense");
  expect(status).toBe(2);
  expect(stderr).toContain("there is no row nonsense; there are costs, limits, kernels,");
});

test("libraries that cannot be installed are missing, each by its name", () => {
  const said: string[] = [];
  const before = process.env.PATH;
  process.env.PATH = folder;
  try {
    const node = { ...measuredNode(), path: join(folder, "bin", "node") };
    const peers = bringPeers(node, (text) => said.push(text), join(folder, "peers"));
    for (const name of ["roaring", "roaring-wasm", "fastbitset", "typedfastbitset"])
      expect(peers.missing(name)).toBe("not installed");
  } finally {
    process.env.PATH = before;
  }
  expect(said.at(-1)).toContain("npm failed");
});
