// What the reading commands hold of files with as many bitmaps as there can be, good and bad ones: 16 MiB and four times the bytes
// read (spec §7.4). A heap that is no larger shows what is held there, the process's memory what is held elsewhere.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { rep } from "../../format/test/hand.ts";
import { HOSTILE } from "../../format/test/hostile-files.ts";
import { COMMAND, NODE, qdb, temporaryDirectory } from "./built.ts";
import { measured } from "./measured.ts";
import { requirePeers } from "./peers.ts";
import { DAILY, handFile } from "./samples.ts";

const MIB = 2 ** 20;
/** What Node takes beyond what is held, in MiB: code that is compiled where a loop is long, and arrays that nobody holds any more. */
const RUNTIME = 20;
const directory = temporaryDirectory();
beforeAll(() => requirePeers("python3"));

/** Writes a hostile file, and gives its path with what a command may hold of it, in MiB. */
function hostileFile(name: string): { readonly path: string; readonly budget: number } {
  const source = HOSTILE[name]?.();
  if (source === undefined) throw new Error(`no hostile file ${name}`);
  const path = join(directory, `${name.replaceAll(/\W+/g, "-")}.qdb`);
  writeFileSync(path, source.readSync(0, source.size));
  return { path, budget: Math.floor(16 + (4 * source.size) / MIB) };
}

/** Runs the command with a heap of so many MiB. Young objects count too: without a bound of their own they get as much again. */
function runWithin(heap: number, args: readonly string[]): ReturnType<typeof measured> {
  return measured([`--max-old-space-size=${heap}`, "--max-semi-space-size=1", COMMAND, ...args]);
}

const TEXT = ["info", "show", "check"];
const DATA = ["info --output=json", "show --svg=-", "check --output=json"];
/** `pnpm soak memory` runs every command on every file, `npm test` some. */
const isSoak = process.env.QDB_SOAK === "1";

describe.each([
  ["65535 empty bitmaps", isSoak ? [...TEXT, ...DATA] : TEXT],
  ["65535 bitmaps, every one in error", isSoak ? [...TEXT, ...DATA] : DATA.slice(0, 2)],
])("%s", (name, listing) => {
  test.each(listing)(
    "%s",
    (command) => {
      const args = command.split(" ");
      const { path, budget } = hostileFile(name);
      const small = handFile(directory, "small.qdb", { bitmaps: [DAILY] });
      const own = runWithin(budget, [...args, small]);
      const { status, mebibytes } = runWithin(budget, [...args, path]);
      expect(status).toBe(command.startsWith("check") && name.endsWith("error") ? 2 : 0);
      expect(mebibytes - own.mebibytes).toBeLessThan(budget + RUNTIME);
    },
    300_000,
  );

  test("dump, and a bitmap by its name", () => {
    const { path, budget } = hostileFile(name);
    const isBad = name.endsWith("error");
    for (const args of [["dump"], ["map"], ["export", "--to=raw-bits", "--bitmap=00000001"]]) {
      const operands = args[0] === "map" ? [path, "00000001"] : [path];
      const flags = [`--max-old-space-size=${budget}`, "--max-semi-space-size=1"];
      const { status } = spawnSync(NODE, [...flags, COMMAND, ...args, ...operands], { stdio: "ignore" });
      expect({ args, status }).toEqual({ args, status: isBad ? 1 : 0 });
    }
  }, 300_000);
});

describe("check -r holds neither bitmaps nor findings", () => {
  /** Bytes that it reads, in MiB: it looks at the file when it opens it, before the repair, in it and after it. */
  const looked = (size: number): number => (4 * size) / MIB;

  const files: [name: string, read: number][] = [
    // Of 14 MiB a few KiB are read.
    ["four damaged bitmaps of 2^32 bits", 1],
    ["2^18 entries past the end", looked(3_154_432)],
    ["65535 bitmaps with damaged L1 areas", looked(65_535 * 64)],
  ];
  test.each(isSoak ? files : files.slice(0, 2))(
    "%s",
    (name, read) => {
      const budget = Math.floor(16 + 4 * read);
      for (const output of isSoak ? ["human", "json"] : ["human"]) {
        const { path } = hostileFile(name);
        const small = handFile(directory, "small.qdb", { bitmaps: [{ ...DAILY, l1Checksum: 1 }] });
        const args = ["check", "-r", `--output=${output}`];
        const own = runWithin(budget, [...args, small]);
        const { status, mebibytes } = runWithin(budget, [...args, path]);
        expect(status).toBe(0);
        expect(mebibytes - own.mebibytes).toBeLessThan(budget + RUNTIME);
        expect(qdb("check", path)).toContain("No errors were found");
      }
    },
    300_000,
  );

  test("every finding of it is listed, with what has become of it", () => {
    const name = "2^18 entries past the end";
    const { path } = hostileFile(name);
    const { findings } = JSON.parse(qdb("check", "-r", "--output=json", path));
    expect(findings).toHaveLength(2 ** 18);
    for (const at of [0, 2 ** 18 - 1]) {
      const where = { structure: "L1 entry", field: "descriptor", offset: 8704 + at * 8, bitmap: "00000000" };
      expect(findings[at]).toMatchObject({ code: "OUT_OF_BOUNDS", where, repairable: true, repaired: true });
    }
    const [line, summary] = qdb("map", path, "00000000").split("\n");
    expect([line?.trim().split(/\s+/), summary]).toEqual([["0", `${2n ** 39n}`, "1", "dirty"], ""]);
  }, 300_000);
});

test("map: every second bit of four clusters of 2 MiB dirty", () => {
  const cluster = rep(0x55, 2 * MIB);
  const clusters = [cluster, cluster, cluster, cluster];
  const bitmap = { name: "b", size: 2n ** 35n, granularity: 512, clusters };
  const path = handFile(directory, "dense.qdb", { clusterBits: 21, bitmaps: [bitmap] });
  const small = handFile(directory, "small.qdb", { bitmaps: [DAILY] });
  for (const output of isSoak ? ["human", "json"] : ["json"]) {
    const args = ["map", `--output=${output}`];
    const own = runWithin(64, [...args, small, "daily"]);
    const { status, mebibytes } = runWithin(64, [...args, path, "b"]);
    expect(status).toBe(0);
    // V8 lets arrays of 64 MiB come together that nobody holds any more, whatever the size of its heap.
    expect(mebibytes - own.mebibytes).toBeLessThan(16 + 4 * 8 + 64);
  }
}, 300_000);
