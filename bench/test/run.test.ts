// The whole program, on a machine that lacks what it compares with.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { BENCH } from "../src/paths.ts";
import type { Results } from "../src/report/results.ts";
import { measuredNode } from "../src/setup/environment.ts";
import { bringPeers } from "../src/setup/peers.ts";

const folder = mkdtempSync(join(tmpdir(), "qdb-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs `pnpm bench`, or its command for charts, with an empty PATH: without gcc and npm. */
function bench(program: string, ...args: readonly string[]) {
  return spawnSync(process.execPath, [join(BENCH, "src", program), ...args], {
    env: { ...process.env, PATH: folder, QDB_NODE: process.env.QDB_NODE ?? process.execPath },
    encoding: "utf8",
  });
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
