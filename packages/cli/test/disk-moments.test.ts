// A disk that is written to while a command runs: before each of the command's calls to the file system, one run for each.
import { copyFileSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { qdb, temporaryDirectory } from "./built.ts";
import { runMoment, runOf } from "./resident.ts";

const directory = temporaryDirectory();
const at = (name: string): string => join(directory, name);
const disk = at("disk");
const base = at("base");
const target = at("target");
const bits = at("bits");
const stored = at("stored");
const file = at("file");
const out = at("out");
const empty = at("empty");
const SIZE = 2 ** 20;

/** A run in which the disk was written to before a call: the call, and what came of it. */
interface Outcome {
  readonly name: string;
  readonly path: string;
  readonly result: string;
}

const run = runOf(1);

/** Runs a command once for each of its calls, on a disk that was not touched for long; `look` tells what a run with exit code 0 left. */
async function outcomes(args: readonly string[], look: () => string | Promise<string>): Promise<Outcome[]> {
  const found: Outcome[] = [];
  for (;;) {
    writeFileSync(disk, Buffer.alloc(SIZE / 2), { flag: "r+" });
    utimesSync(disk, 1, 1);
    copyFileSync(base, target);
    for (const made of [file, out]) rmSync(made, { force: true });
    if (args[0] === "bitmap") copyFileSync(empty, file);
    const at = found.length;
    const { status, stderr, calls } = await runMoment(args, { at, changed: disk });
    const call = calls[at];
    if (call === undefined) {
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      return found;
    }
    const [name, path] = call;
    found.push({
      name,
      path,
      result: status === 0 ? await look() : (/^qdb: \[([A-Z_]+)\]/.exec(stderr)?.[1] ?? stderr),
    });
  }
}

/** The different results, in alphabetical order. */
const results = (found: readonly Outcome[]): string[] => [...new Set(found.map(({ result }) => result))].sort();

/** How many moments there are up to the last such call. */
function upToLast(found: readonly Outcome[], name: string, path: string): number {
  const count = found.findLastIndex((outcome) => outcome.name === name && outcome.path === path) + 1;
  expect(count).toBeGreaterThan(1);
  return count;
}

/** How many moments there are before the command looks at a file for the first time. */
function before(found: readonly Outcome[], path: string): number {
  const count = found.findIndex((outcome) => outcome.path === path);
  expect(count).toBeGreaterThan(1);
  return count;
}

beforeAll(() => {
  writeFileSync(base, Buffer.alloc(SIZE));
  // What is written meanwhile is at the start of the disk, which is clean in the bitmap.
  writeFileSync(disk, Buffer.concat([Buffer.alloc(SIZE / 2), Buffer.alloc(SIZE / 2, 7)]));
  utimesSync(disk, 1, 1);
  qdb("diff", base, disk, stored);
  qdb("create", empty);
  writeFileSync(bits, Buffer.alloc(2));
});

test("copy: from the comparison with the stamp to the end of the copy", async () => {
  const look = (): string => (readFileSync(target).equals(readFileSync(disk)) ? "copied" : "missed");
  const found = await outcomes(["copy", stored, "diff", disk, target], look);
  const watched = upToLast(found, "fstatSync", disk);
  expect(results(found.slice(0, watched))).toEqual(["SOURCE_CHANGED", "WRONG_DISK"]);
  const written = found.findLastIndex(({ name, path }) => name === "writeSync" && path === target);
  expect(watched).toBeGreaterThan(written);
});

describe("a command that uses bits: up to when it has all of them", () => {
  test.each([
    ["map", ["map", stored, "diff"], "readSync"],
    ["export", ["export", "--to", "extents", "-B", "diff", stored, out], "readSync"],
    ["merge", ["bitmap", "--add", "--size", "1M", "--merge", "diff", "-b", stored, file, "b"], "readSync"],
  ])("%s", async (_, args, call) => {
    const found = await outcomes(args, () => "used");
    expect(results(found.slice(0, upToLast(found, call, stored)))).toEqual(["WRONG_DISK"]);
  });
});

describe("a command that binds a bitmap to a disk: the stamp is older than what the bitmap says", () => {
  const look = (name: string) => async (): Promise<string> => {
    const { status, stdout } = await run(["map", "--max-length=1", file, name]);
    return status !== 0 ? "refused later" : stdout.includes("dirty") ? "dirty" : "clean";
  };

  test("diff", async () => {
    const found = await outcomes(["diff", base, disk, file], look("diff"));
    expect(results(found)).toEqual(["SOURCE_CHANGED", "dirty", "refused later"]);
  });

  test("bitmap --add", async () => {
    const found = await outcomes(["bitmap", "--add", "--disk", disk, file, "b"], look("b"));
    expect(results(found.slice(before(found, file)))).toEqual(["refused later"]);
  });

  test("import", async () => {
    const found = await outcomes(
      ["import", "--from", "raw-bits", "-g", "64K", "--disk", disk, "-B", "b", bits, file],
      look("b"),
    );
    expect(results(found.slice(before(found, file)))).toEqual(["refused later"]);
  });
});
