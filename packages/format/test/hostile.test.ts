// Files made to hurt, against the bounds of section 7.4: each runs through everything that a reader does, in a process of its own.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bitmap } from "@qdb/format";
import { bitmapPlan, readMap, runSync } from "@qdb/format/container";
import { afterAll, describe, expect, it } from "vitest";
import { FEW, FEWER, HOSTILE, SLOW } from "./hostile-files.ts";
import type { Measured } from "./memory-child.ts";
import { index, thrown, ZLIB } from "./reading.ts";

const MIB = 2 ** 20;
const isSoak = process.env.QDB_SOAK === "1";
/** Bitmaps of the files that need not have as many as there can be. */
const SOME = isSoak ? 65535 : FEW;
const cache = mkdtempSync(join(tmpdir(), "qdb-compile-cache-"));
afterAll(() => rmSync(cache, { recursive: true, force: true }));
const CHILD = fileURLToPath(new URL("memory-child.ts", import.meta.url));

interface Run {
  readonly size: number;
  readonly heap: number;
  readonly results: readonly Measured[];
}

/** Runs a hostile file in a process whose heap can be limited; one that grows past it dies, and the test with it. */
async function measured(name: string, heapMib?: number): Promise<Run> {
  // Young objects count too: without a bound of their own they get as much again.
  const limit = heapMib === undefined ? [] : [`--max-old-space-size=${heapMib}`, "--max-semi-space-size=4"];
  const child = spawn(process.execPath, ["--expose-gc", ...limit, CHILD, name], {
    // Reading the sources takes Node longer than most of these files do.
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${err.slice(-2000)}`);
  return JSON.parse(out) as Run;
}

/** What every call on the file is to come to; extents are those of the first, the second and the last bitmap. */
const EXPECTED: Record<string, readonly string[]> = {
  "counts of a tiny file": ["open OUT_OF_BOUNDS", "check ok 1"],
  "a tiny draft file with 65535 bitmaps": ["open OUT_OF_BOUNDS", "check ok 2"],
  "2^50 bytes of zeros, a table of 64 MiB": ["open BAD_FIELD", "check ok 1"],
  "2^50 bytes, a draft table of 16384 empty entries": ["open ok 16384", "count ok 16384"],
  "2^50 bytes, a draft table past 64 MiB": ["open LIMIT", "check ok 2"],
  "2^50 bytes, a draft table of the longest entries": ["open ok 60", "count ok 60"],
  "2^50 bytes, L1 areas far apart": ["open ok 8192", "count ok 8192", "extents 0 ok 0", "check ok 1"],
  "65535 empty bitmaps": ["count ok 65535", "extents of all ok 0", "check ok 0"],
  "65535 bitmaps, every one in error": [`open ok ${SOME}`, `count ok ${SOME}`, "extents of all ok 0"],
  "65535 good bitmaps, each with a data cluster": [
    `open ok ${SOME}`,
    `count ok ${SOME}`,
    `extents of all ok ${SOME}`,
    `extents ${SOME - 1} ok 1`,
    "check ok 0",
  ],
  "65535 bitmaps with damaged L1 areas": [
    "count ok 65535",
    "check ok 65535",
    "repair ok 65535",
    "repair within 16 MiB LIMIT",
  ],
  "four damaged bitmaps of 2^32 bits": ["extents 0 BAD_CHECKSUM", "repair ok 4", "repair within 16 MiB ok 4"],
  "two damaged bitmaps of 2^29 bits, without all-ones clusters": ["repair ok 2", "repair within 16 MiB LIMIT"],
  "1000 damaged bitmaps of 2^32 bits with L1 areas past the end": ["extents 0 OUT_OF_BOUNDS", "repair LIMIT"],
  "2^16 damaged data clusters": ["extents 0 BAD_CHECKSUM", `check ok ${2 ** 16}`, `repair ok ${2 ** 16}`],
  "65534 L1 areas at one place, and 2^16 entries that name it": [
    `open ok ${SOME}`,
    `count ok ${SOME}`,
    `check ok ${2 ** 16 + 2 * (SOME - 1)}`,
    `repair ok ${2 ** 16 + 2 * (SOME - 1)}`,
  ],
  "2^18 entries of one cluster": [
    "count ok 1",
    "extents 0 OVERLAP",
    `check ok ${2 ** 18}`,
    "edit ok 2",
    `repair ok ${2 ** 18}`,
  ],
  "2^18 entries past the end": [
    "count ok 1",
    "extents 0 OUT_OF_BOUNDS",
    `check ok ${2 ** 18}`,
    "edit ok 2",
    `repair ok ${2 ** 18}`,
  ],
  "2^20 entries behind the end, one in every second block": ["extents 0 OUT_OF_BOUNDS", "edit ok 2"],
  "2^20 entries, ones and zeros in turn": ["count ok 1", `extents 0 ok ${2 ** 19}`, "check ok 0"],
  "2^20 preallocations": ["count ok 1", "extents 0 ok 0", "check ok 1", "edit ok 2"],
  "2^32 dirty bits": ["count ok 1", "extents 0 ok 1", "check ok 0"],
  "1000 bitmaps of 2^27 bits, zeros and ones": ["count ok 1000", "extents of all ok 500", "check ok 0"],
  "extensions of nothing": ["open LIMIT", "check ok 1"],
  "64 MiB of records in one entry": ["open ok 1", "extents 0 BAD_FIELD"],
  "1000 bitmaps with 512 records each": ["open ok 1000", "count ok 1000", "extents 0 ok 0"],
  "every second bit of 256 KiB dirty": ["open ok 1", `extents of all ok ${MIB}`, `extents 0 ok ${MIB}`, "check ok 0"],
  "every second bit of a cluster of 2 MiB dirty": [`extents of all ok ${8 * MIB}`, `extents 0 ok ${8 * MIB}`],
  "ten header areas that could be mirrors": ["open BAD_CHECKSUM", "check ok 1"],
  "a mirror far behind, a table of 64 MiB": ["open BAD_FIELD", "check ok 2"],
};

/**
 * How often a call may read the file. An edit looks at the L1 areas when it opens, for what a longer file would make of them, and when
 * it is done; a repair when it opens, before it, for what is to be put right, for what a longer file would make of it, when it is
 * stored, and after it.
 */
const ATTEMPTS: Readonly<Record<string, number>> = { dump: 2, edit: 3, repair: 6, "repair within 16 MiB": 6 };

describe("a hostile file", () => {
  it("has an expectation each", () => {
    expect(Object.keys(EXPECTED).sort()).toEqual(Object.keys(HOSTILE).sort());
  });

  const title = (name: string): string => (FEWER.has(name) && !isSoak ? `${name}: ${FEW} of them` : name);
  it.each(Object.keys(HOSTILE).map((name) => [title(name), name] as const))(
    "%s",
    async (_, name) => {
      const { size, heap, results } = await measured(name);
      const said = results.map(({ call, outcome, put }) => `${call} ${outcome}${outcome === "ok" ? ` ${put}` : ""}`);
      for (const expected of EXPECTED[name] ?? []) expect(said).toContain(expected);
      for (const { call, bytesRead, bytes, peak, bound, ms, put, size: sizeAfter = size } of results) {
        const attempts = ATTEMPTS[call] ?? 1;
        expect(`${call}: ${bytesRead <= attempts * (Math.max(size, sizeAfter) + 65536)}`).toBe(`${call}: true`);
        expect(`${call}: ${peak <= bound ? "in bounds" : `${peak} of ${bound} bytes held`}`).toBe(`${call}: in bounds`);
        // Linear, with room for a slow machine: a pair of loops over 2^16 or 2^20 takes hours.
        expect(`${call}: ${ms < 2000 + 0.002 * bytes + 0.5 * put ? "in time" : `${ms} ms`}`).toBe(`${call}: in time`);
      }
      // Once more, with a heap that holds no more than the bound: what was held between two looks is seen too.
      const most = Math.max(...results.map(({ bound }) => bound));
      const limit = Math.ceil((heap + most) / MIB);
      const bitmaps = results.find(({ call }) => call === "open")?.put ?? 0;
      if (SLOW.has(name) && !isSoak) return;
      // Not with as many bitmaps as there can be: so small a heap is collected all the time then, which takes half a minute each.
      if (limit < 128 && bitmaps < 32768) await measured(name, limit);
    },
    600_000,
  );
});

describe("a bitmap in memory", () => {
  it("is refused above maxBitmapBytes before anything is taken for it", () => {
    const source = HOSTILE["2^32 dirty bits"]?.();
    if (source === undefined) throw new Error("no such file");
    const opened = index(source);
    const [entry] = opened.table.entries;
    if (entry === undefined) throw new Error("no bitmap");
    const map = runSync(readMap(opened, entry, ZLIB), source);
    const before = process.memoryUsage().arrayBuffers;
    expect(thrown(() => runSync(bitmapPlan(map, { maxBitmapBytes: 2 ** 29 - 1 }), source)).code).toBe("LIMIT");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
    const loaded = runSync(bitmapPlan(map, { maxBitmapBytes: 2 ** 29 }), source);
    expect(loaded.count()).toBe(2 ** 32);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1.3 * 2 ** 29);
    expect(loaded).toBeInstanceOf(Bitmap);
  });
});
