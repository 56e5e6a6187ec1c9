// However often a file is edited, it stays below three times its canonical length and 64 KiB.
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { qdb, runQdb, temporaryDirectory } from "./built.ts";
import { seededRandom } from "./peers.ts";
import { bitmapsOf, findingsOf } from "./reading.ts";
import { qdbOf } from "./resident.ts";

const directory = temporaryDirectory();
const SLACK = 64 * 1024;

/** Length of a new file that says the same. */
function canonicalLength(path: string): number {
  const copy = join(directory, "canonical.qdb");
  rmSync(copy, { force: true });
  expect(runQdb(["load", "-", copy], { input: qdb("dump", path) })).toMatchObject({ status: 0, stderr: "" });
  return statSync(copy).size;
}

test("1,000 runs of --mark", { timeout: 1_800_000 }, async () => {
  const path = join(directory, "marked.qdb");
  const random = seededRandom(1);
  const size = 2 ** 34;
  /** What a data cluster of 4096 bytes is for. */
  const range = 4096 * 8 * 4096;
  qdb("create", path);
  qdb("bitmap", "--add", "-g", "4K", "--size", `${size}`, "--mark", "5G+1M", path, "bystander");
  qdb("bitmap", "--add", "-g", "4K", "--size", `${size}`, path, "marked");
  const clusters = new Set<number>();
  for (let run = 0; run < 1000; run++) {
    const offsets = Array.from({ length: 1 + random(4) }, () => random(size));
    for (const offset of offsets) clusters.add(Math.floor(offset / range));
    await qdbOf(run, 50)("bitmap", ...offsets.map((offset) => `--mark=${offset}+1`), path, "marked");
    // Header, mirror, table, two L1 areas, the bystander's data cluster, and those of the marks.
    const canonical = 4096 * (6 + clusters.size);
    if (run % 50 === 0) expect(canonicalLength(path)).toBe(canonical);
    expect(statSync(path).size).toBeLessThan(3 * canonical + SLACK);
  }
  expect(clusters.size).toBe(size / range);
  expect(await findingsOf(path)).toEqual([]);
});

test("clearing all but the last of 100 data clusters", async () => {
  const path = join(directory, "cleared.qdb");
  // Each cluster of 4096 bytes has a bit here and there.
  const bits = join(directory, "cleared.bits");
  writeFileSync(bits, Buffer.alloc(100 * 4096, "\x00\x01\x00\x00"));
  const size = 100 * 4096 * 8 * 512;
  qdb("import", "--from=raw-bits", "-g", "512", "--size", `${size}`, "-B", "b", bits, path);
  expect(statSync(path).size).toBeGreaterThan(100 * 4096);
  qdb("bitmap", `--unmark=0+${size - 4096 * 8 * 512}`, path, "b");
  expect(statSync(path).size).toBeLessThan(3 * canonicalLength(path) + SLACK);
  expect(await findingsOf(path)).toEqual([]);
});

test("a command that leaves the file growing says why, and what ends it", async () => {
  const made = join(directory, "beside.qdb");
  qdb("create", made);
  for (const name of ["a", "b"]) qdb("bitmap", "--add", "--size=1G", "--mark=5M+1", made, name);
  const [, b] = await bitmapsOf(made);
  const bytes = readFileSync(made);
  const area = Number((b as unknown as { l1_table_offset: string }).l1_table_offset);
  bytes.writeUInt8((bytes[area] ?? 0) ^ 1, area);
  writeFileSync(made, bytes);
  const why =
    /^qdb: warning: ".*" grows with every change and is not cut while bitmap "b" \(BAD_CHECKSUM\) is damaged; /;
  const end = /qdb check -r, or qdb bitmap --remove or --mark-all of it, ends that\n$/;
  let size = statSync(made).size;
  for (const args of [
    ["bitmap", "--mark=7M+1", made, "a"],
    ["bitmap", "--add", "--size=1G", made, "c"],
  ]) {
    const { status, stdout, stderr } = runQdb(args);
    expect([status, stdout.toString()]).toEqual([0, ""]);
    expect(stderr).toMatch(why);
    expect(stderr).toMatch(end);
    expect(statSync(made).size).toBeGreaterThan(size);
    size = statSync(made).size;
  }
  // Nothing was written: nothing grew.
  expect(runQdb(["bitmap", "--mark=7M+1", made, "a"]).stderr).toBe("");
  for (const [way, name] of [
    ["check", "-r"],
    ["bitmap", "--remove"],
    ["bitmap", "--mark-all"],
  ] as const) {
    const path = join(directory, `beside-${name}.qdb`);
    writeFileSync(path, readFileSync(made));
    expect(runQdb([way, name, path, ...(way === "check" ? [] : ["b"])])).toMatchObject({ status: 0, stderr: "" });
    expect(await findingsOf(path)).toEqual([]);
    qdb("bitmap", "--mark=9M+1", path, "a");
    expect(statSync(path).size).toBeLessThan(3 * canonicalLength(path) + SLACK);
  }
});
