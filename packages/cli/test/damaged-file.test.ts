// What the command does to a file that lost its end, and to one in which two bitmaps own one cluster: nothing of the others goes.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { file, rep } from "../../format/test/hand.ts";
import { expectSilent, temporaryDirectory } from "./built.ts";
import { bitmapsOf } from "./reading.ts";
import { type Run, runOf } from "./resident.ts";

const directory = temporaryDirectory();
let files = 0;

const run: Run = (args) => runOf(files)(args);

async function qdb(...args: readonly string[]): Promise<string> {
  return expectSilent(args, await run(args));
}

/** A canonical file with A and B, each with bits in two clusters. */
const whole = join(directory, "whole.qdb");
beforeAll(async () => {
  const [made, document] = [join(directory, "made.qdb"), join(directory, "made.json")];
  await qdb("create", made);
  for (const name of ["A", "B"])
    await qdb("bitmap", "--add", "--size=1G", "--granularity=512", "--mark=0+1", "--mark=300M+1", made, name);
  writeFileSync(document, await qdb("dump", made));
  await qdb("load", document, whole);
  writeFileSync(join(directory, "a.bits"), Buffer.of(1));
});

function fileOf(bytes: Uint8Array): string {
  const path = join(directory, `${files++}.qdb`);
  writeFileSync(path, bytes);
  return path;
}

async function said(path: string): Promise<ReadonlyMap<string, unknown>> {
  return new Map((await bitmapsOf(path)).map(({ name, dirty, error }) => [name, error?.code ?? dirty]));
}

const A = [
  ["0", "512"],
  [`${300 * 2 ** 20}`, "512"],
];
const MARKED = [...A, [`${512 * 2 ** 20}`, "512"]];

describe.each([4096, 8192])("a file of two bitmaps, %d bytes cut off its end", (bytes) => {
  test.each<[what: string, args: (path: string) => readonly string[], a: readonly unknown[] | undefined]>([
    ["--mark", (path) => ["bitmap", "--mark", "512M+1", path, "A"], MARKED],
    ["--disable", (path) => ["bitmap", "--disable", path, "A"], A],
    ["--rename", (path) => ["bitmap", "--rename", "a2", path, "A"], undefined],
    ["--freeze", (path) => ["bitmap", "--freeze", "A-2", path, "A"], A],
    ["--add", (path) => ["bitmap", "--add", "--size=1G", path, "C"], A],
    ["--remove A", (path) => ["bitmap", "--remove", path, "A"], undefined],
    [
      "import",
      (path) => [
        "import",
        "--from=raw-bits",
        "--granularity=64K",
        "--size=32K",
        "-B",
        "I",
        join(directory, "a.bits"),
        path,
      ],
      A,
    ],
  ])("%s", async (_, args, a) => {
    const path = fileOf(readFileSync(whole).subarray(0, -bytes));
    expect([...(await said(path)).entries()]).toEqual([
      ["A", A],
      ["B", "OUT_OF_BOUNDS"],
    ]);
    expect((await run(args(path))).status).toBe(0);
    const after = await said(path);
    expect(after.get("A")).toEqual(a);
    // Still in error, but the cluster is its own.
    expect(["OUT_OF_BOUNDS", "BAD_CHECKSUM"]).toContain(after.get("B"));
    // The file stays writable, and there is a way back.
    for (const back of [
      ["check", "-r", path],
      ["bitmap", "--mark-all", path, "B"],
      ["bitmap", "--remove", path, "B"],
    ]) {
      const copy = fileOf(readFileSync(path));
      const way = back.map((word) => (word === path ? copy : word));
      expect(await run(way)).toMatchObject({ status: 0, stderr: "" });
      const last = await said(copy);
      expect(last.get("A")).toEqual(a);
      expect(typeof last.get("B")).not.toBe("string");
      expect(await qdb("check", copy)).toContain("No errors");
      await qdb("bitmap", "--add", "--size=1G", copy, "later");
    }
  });
});

test("check -r beside a bitmap that it cannot repair and that names clusters behind the end", async () => {
  const size = 512n * 4096n * 2n;
  const made = file({
    bitmaps: [
      { name: "A", size, granularity: 512, clusters: [{ data: rep(3, 512), crc: 1 }, rep(8, 512)] },
      { name: "B", size, granularity: 512, flags: 0x8000, clusters: [rep(5, 512), { descriptor: 12288n, crc: 9 }] },
    ],
  });
  const path = fileOf(made);
  expect(made.length).toBeLessThanOrEqual(12288);
  const ran = await run(["check", "-r", path]);
  expect([ran.status, ran.stderr]).toEqual([2, ""]);
  const [a, b] = await bitmapsOf(path);
  expect(a?.dirty?.[0]).toEqual(["0", `${512 * 4096}`]);
  expect(b?.error?.code).toBe("UNSUPPORTED_FEATURE");
  expect((await run(["check", path])).stdout.toString()).not.toContain("OVERLAP");
  await qdb("bitmap", "--mark=3M+1", path, "A");
});

test("two bitmaps that own one cluster: check -r, --remove and --mark-all are ways back", async () => {
  const size = 512n * 4096n * 2n;
  const a = { name: "A", size, granularity: 512, clusters: [rep(3, 512), "zeros"] as const };
  const place = 8192n + 512n + 512n;
  const bytes = file({
    bitmaps: [a, { ...a, name: "B", clusters: [{ descriptor: place, crc: 9 }, "zeros"] }, { ...a, name: "C" }],
  });
  for (const [args, states] of [
    [
      ["check", "-r"],
      ["all", "all", "own"],
    ],
    [
      ["bitmap", "--remove", "B"],
      ["own", undefined, "own"],
    ],
    [
      ["bitmap", "--remove", "A"],
      [undefined, "BAD_CHECKSUM", "own"],
    ],
    [
      ["bitmap", "--mark-all", "B"],
      ["own", "all", "own"],
    ],
    [
      ["bitmap", "--mark-all", "A"],
      ["all", "BAD_CHECKSUM", "own"],
    ],
    [
      ["bitmap", "--mark=0+1", "C"],
      ["OVERLAP", "OVERLAP", "own"],
    ],
    [
      ["bitmap", "--disable", "C"],
      ["OVERLAP", "OVERLAP", "own"],
    ],
  ] as const) {
    const path = fileOf(bytes);
    const own = (await said(path)).get("C");
    const [command, option, name] = args;
    const ran = await run([command, option, path, ...(name === undefined ? [] : [name])]);
    expect(ran.status, args.join(" ")).toBe(0);
    const after = await said(path);
    for (const [at, state] of states.entries()) {
      const want = state === "own" ? own : state === "all" ? [["0", `${size}`]] : state;
      expect(after.get("ABC"[at] ?? ""), `${args.join(" ")}: ${"ABC"[at]}`).toEqual(want);
    }
  }
});
