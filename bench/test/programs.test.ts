// Whole programs: how they are measured, and the files that they get.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nbdinfoMap, requirePeers } from "../../packages/cli/test/peers.ts";
import type { Cell } from "../src/data/cells.ts";
import { DataFolder } from "../src/data/files.ts";
import { countOf, type PlainBitmaps, regranulated, requireSame, union } from "../src/programs/bitmaps.ts";
import { ImagePair } from "../src/programs/images.ts";
import { bitmapsOfQcow2 } from "../src/programs/qcow2.ts";
import { Disagreement, type Opponent, race } from "../src/programs/race.ts";
import { type Command, missingProgram } from "../src/programs/runner.ts";
import { GRANULARITY, Workshop } from "../src/programs/workshop.ts";
import { requireFound, stateOf } from "../src/rows/damage.ts";
import { measuredNode } from "../src/setup/environment.ts";

const MEBIBYTE = 2 ** 20;
const CELL: Cell = { mebibytes: 1, density: 0.01, pattern: "clustered" };

const data = new DataFolder();
let workshop: Workshop;

beforeAll(() => {
  requirePeers("gcc", "qemu-img", "qemu-nbd", "nbdinfo", "flock");
  const opened = Workshop.open(measuredNode(), data);
  if ("missing" in opened) throw new Error(opened.missing);
  workshop = opened;
});

afterAll(() => {
  workshop.close();
  data.remove();
});

const script = (text: string): Command => [process.execPath, "-e", text];

describe("a program is measured", () => {
  test("with its exit code, its output and what it says", () => {
    const ran = workshop.runner.capture(script("console.log('out'); console.error('said'); process.exitCode = 3"));
    expect(ran).toMatchObject({ exit: 3, stderr: "said\n" });
    expect(ran.output.toString()).toBe("out\n");
    expect(workshop.runner.run(["sh", "-c", "kill -9 $$"]).exit).toBe(-9);
    expect(() => workshop.runner.succeed(["false"])).toThrow("false: exit 1");
    expect(() => workshop.runner.succeed(["nonexistent-program"])).toThrow("No such file");
  });

  test("with its own memory and time, and those of the processes that it waits for", () => {
    // The maximum that wait4 tells is at least the memory of the process that started the program: of this one, if it were this one.
    const ballast = Buffer.alloc(256 * MEBIBYTE, 1);
    const small = workshop.runner.succeed(["true"]);
    expect(small.peak).toBeLessThan(16 * MEBIBYTE);
    const large = workshop.runner.succeed(script("Buffer.alloc(2 ** 28, 1)"));
    expect(large.peak).toBeGreaterThan(ballast.length);
    expect(large.wall).toBeGreaterThan(small.wall);
    const busy = "const end = Date.now() + 300; while (Date.now() < end);";
    const both = workshop.runner.succeed(["sh", "-c", `"$0" -e '${busy}'; true`, process.execPath]);
    expect(both.processor).toBeGreaterThan(50e6);
    expect(workshop.runner.succeed(["sleep", "0.2"])).toSatisfy(({ wall, processor }) => wall > 2e8 && processor < 1e8);
  });

  test("and ended with what it started if it takes too long", () => {
    const start = performance.now();
    expect(() => workshop.runner.run(["sh", "-c", "sleep 50 & wait"], "/dev/null", 1)).toThrow("took more than 1 s");
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

describe("commands are compared", () => {
  const EFFORT = { least: 3, most: 3, seconds: 0 };
  const own = { command: ["true"] } as const;

  test("in turn, after a first round that is not counted and in which the results are checked", () => {
    const calls: string[] = [];
    const note = (text: string) => () => void calls.push(text);
    const qdb = { ...own, prepare: note("prepare"), check: note("check") };
    const peer = { ...own, label: "peer", goal: 0.5, memoryGoal: 2, prepare: note("other") };
    const comparison = race(workshop, { data: "none", operation: "nothing", qdb, opponents: [peer] }, EFFORT);
    expect(calls.join(" ")).toBe("prepare check other prepare other prepare other prepare other");
    expect(comparison).toMatchObject({ rounds: 3, peers: [{ label: "peer", goal: 0.5, memoryGoal: 2 }] });
    expect(comparison.peers[0]).toHaveProperty("processorRatio.median");
  });

  test("and one that is missing, fails or makes what is wrong is named, unless it is a part of the benchmark", () => {
    const wrong = (): never => {
      throw new Error("has other bits");
    };
    const opponents: readonly Opponent[] = [
      { label: "missing", missing: "not installed" },
      { label: "fails", command: ["false"] },
      { ...own, label: "wrong", check: wrong },
      { ...own, label: "good" },
    ];
    const compare = (qdb: { command: Command; check?: () => void }, against: readonly Opponent[]) =>
      race(workshop, { data: "none", operation: "nothing", qdb, opponents: against }, EFFORT);
    expect(compare(own, opponents).peers).toMatchObject([
      { missing: "not installed" },
      { missing: "failed: false: exit 1" },
      { missing: "failed: has other bits" },
      { label: "good", ratio: {} },
    ]);
    expect(() => compare(own, [{ label: "floor", command: ["false"], isOwn: true }])).toThrow("exit 1");
    const disagree = (): never => {
      throw new Disagreement("other lines");
    };
    expect(() => compare(own, [{ ...own, label: "other", check: disagree }])).toThrow("other lines");
    expect(() => compare({ command: ["false"] }, [])).toThrow("exit 1");
    expect(() => compare({ ...own, check: wrong }, [])).toThrow("has other bits");
  });

  test("programs are looked for in PATH", () => {
    expect(missingProgram("sh", "true")).toBeUndefined();
    expect(missingProgram("sh", "nonexistent-program")).toBe("nonexistent-program is not installed");
  });
});

describe("the files of a cell", () => {
  test("are a qcow2 image and a QDB file with the same bits, of which QEMU says the same", () => {
    const bitmaps = workshop.bitmaps(CELL);
    const image = workshop.qcow2File(CELL);
    requireSame(bitmapsOfQcow2(image), bitmaps);
    requireSame(workshop.bitmapsOfQdb(workshop.qdbFile(CELL)), bitmaps);
    for (const [name, { bits }] of bitmaps) {
      const dirty = nbdinfoMap(image, name).reduce((sum, { length, type }) => sum + (type === 1 ? length : 0), 0);
      expect(dirty).toBe(countOf(bits) * GRANULARITY);
      expect(dirty).toBeGreaterThan(0);
    }
  });

  test("are not the same if one bit differs, or a granularity, or a name", () => {
    const before: PlainBitmaps = new Map([["a", { granularity: 512, bits: Buffer.of(1, 0, 4) }]]);
    requireSame(new Map([["a", { granularity: 512, bits: Buffer.of(1, 0, 4, 0) }]]), before);
    for (const other of [
      new Map([["a", { granularity: 512, bits: Buffer.of(1, 0, 5) }]]),
      new Map([["a", { granularity: 512, bits: Buffer.of(1, 0, 4, 1) }]]),
      new Map([["a", { granularity: 512, bits: Buffer.of(1, 0) }]]),
      new Map([["a", { granularity: 1024, bits: Buffer.of(1, 0, 4) }]]),
      new Map([["b", { granularity: 512, bits: Buffer.of(1, 0, 4) }]]),
    ])
      expect(() => requireSame(other, before)).toThrow();
  });

  test("are combined and given another granularity, outward", () => {
    expect(union(Buffer.of(1, 0), Buffer.of(4, 128))).toEqual(Buffer.of(5, 128));
    const bitmap = { granularity: 1024, bits: Buffer.of(0b10000101, 0b1) };
    expect(regranulated(bitmap, 2048).bits).toEqual(Buffer.of(0b00011011));
    expect(regranulated(bitmap, 512).bits).toEqual(Buffer.of(0b00110011, 0b11000000, 0b11, 0));
    expect(countOf(bitmap.bits)).toBe(4);
  });

  test("are images of which the named blocks differ, or none", () => {
    const folder = mkdtempSync(join(tmpdir(), "qdb-bench-test-"));
    const [base, current] = [join(folder, "base"), join(folder, "current")];
    const images = new ImagePair(base, current, 2 ** 22, 0.1);
    const compared = (): number => workshop.runner.run(["cmp", "-s", base, current]).exit;
    expect(compared()).toBe(0);
    images.set(true);
    expect(compared()).toBe(1);
    expect(countOf(images.bits)).toBe(images.blocks.length);
    images.set(false);
    expect(compared()).toBe(0);
    rmSync(folder, { recursive: true });
  });
});

test("damage that a command does not find, or finds too late, ends the run", () => {
  const file = workshop.path("any");
  writeFileSync(file, "bytes");
  const found = (text: string, exit: number) =>
    requireFound(workshop, { operation: "it", command: ["sh", "-c", text], exit }, file, stateOf(workshop, file));
  expect(found("echo BAD_CHECKSUM >&2; exit 1", 1)).toEqual({ operation: "it", exit: 1, code: "BAD_CHECKSUM" });
  expect(() => found("exit 1", 1)).toThrow("did not find");
  expect(() => found("echo BAD_CHECKSUM >&2", 1)).toThrow("did not find");
  expect(() => found("echo bits; echo BAD_CHECKSUM >&2; exit 1", 1)).toThrow("printed bits");
  expect(() => found(`echo BAD_CHECKSUM >&2; echo >> ${file}; exit 1`, 1)).toThrow("changed");
});

test("the folder of a run that was killed is removed", () => {
  const gone = join(workshop.folder, "..", "work-999999999");
  mkdirSync(gone, { recursive: true });
  const other = Workshop.open(measuredNode(), data, join(workshop.folder, "..", `work-${process.pid}0000000`));
  if (!("missing" in other)) other.close();
  expect(() => rmSync(gone)).toThrow("ENOENT");
});
